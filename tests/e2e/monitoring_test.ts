/** The dashboard and the alerts in scripts/: they ask for what there is, in words that Prometheus understands. */

import assert from "node:assert/strict";
import { Metrics, metricsText } from "../../lib/admin/metrics.ts";
import { systemClock } from "../../lib/clock.ts";
import { hasCommand, isMissing } from "../helpers/tools.ts";

const SCRIPTS = new URL("../../scripts/", import.meta.url);
const ALERTS = new URL("alerts.yml", SCRIPTS);

const needsPromtool = {
  ignore: isMissing(hasCommand("promtool"), "promtool (Debian: prometheus)"),
};

/** The queries of a dashboard: of its panels, variables and annotations. */
async function readDashboard(): Promise<string[]> {
  const asked: string[] = [];
  const text = await Deno.readTextFile(new URL("grafana-dashboard.json", SCRIPTS));
  JSON.parse(text, (key, value) => {
    if ((key === "expr" || key === "definition") && typeof value === "string") asked.push(value);
    return value;
  });
  return asked;
}

/** All metrics of a node in a cluster. */
const METRICS = metricsText("test", new Metrics(systemClock), {
  connections: [],
  clients: 0,
  storedMessages: 0,
  isClusterUp: true,
});

async function promtool(...args: readonly string[]): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command("promtool", { args: [...args] })
    .output();
  const decoder = new TextDecoder();
  assert.ok(success, decoder.decode(stdout) + decoder.decode(stderr));
}

Deno.test("the dashboard and the alerts name no metric that does not exist", async () => {
  const existing = new Set(METRICS.match(/^[a-z]\w*/gm));
  for (const text of [...await readDashboard(), await Deno.readTextFile(ALERTS)]) {
    for (const name of text.match(/\b(signalbox|process)_\w+/g) ?? []) {
      assert.ok(existing.has(name), `${name} in ${text}`);
    }
  }
});

Deno.test("the alerts name no code that does not exist", async () => {
  const alerts = await Deno.readTextFile(ALERTS);
  const selectors = [...alerts.matchAll(/(\w+)\{code[=!~]+"([^"]+)"\}/g)];
  assert.ok(selectors.length > 5);
  for (const [, name, codes] of selectors) {
    for (const code of codes!.split("|")) {
      assert.ok(METRICS.includes(`\n${name}{code="${code}"}`), `${name} ${code}`);
    }
  }
});

Deno.test("the dashboard shows every metric", async () => {
  const asked = (await readDashboard()).join("\n");
  for (const [, name] of METRICS.matchAll(/^# TYPE (\w+)/gm)) {
    assert.ok(asked.includes(name!), name);
  }
});

Deno.test(
  "Prometheus understands the alerts, and they fire when they should",
  needsPromtool,
  async () => {
    await promtool("check", "rules", ALERTS.pathname);
    await promtool("test", "rules", new URL("alerts_test.yml", SCRIPTS).pathname);
  },
);

Deno.test("Prometheus understands the dashboard", needsPromtool, async () => {
  const queries = (await readDashboard()).filter((text) => !text.startsWith("label_values("));
  assert.ok(queries.length > 10);
  const rules = queries.map((query, n) => ({
    record: `query_${n}`,
    expr: query.replaceAll("$__rate_interval", "5m"),
  }));
  const file = await Deno.makeTempFile({ suffix: ".yml" });
  try {
    // JSON is YAML.
    await Deno.writeTextFile(file, JSON.stringify({ groups: [{ name: "dashboard", rules }] }));
    await promtool("check", "rules", file);
  } finally {
    await Deno.remove(file);
  }
});
