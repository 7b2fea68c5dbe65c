/** Prometheus takes the configuration of deploying.md, with the alerts beside it. */

import assert from "node:assert/strict";
import { hasCommand, isMissing } from "../helpers/tools.ts";
import { printedFile } from "./document.ts";

const ALERTS = new URL("../../scripts/alerts.yml", import.meta.url);

Deno.test("Prometheus takes the printed configuration", async () => {
  if (isMissing(hasCommand("promtool"), "promtool (Debian: prometheus)")) return;
  const folder = await Deno.makeTempDir();
  try {
    const config = `${folder}/prometheus.yml`;
    await Deno.writeTextFile(config, printedFile("/etc/prometheus/prometheus.yml"));
    await Deno.copyFile(ALERTS, `${folder}/signalbox.yml`);
    const { success, stdout, stderr } = await new Deno.Command("promtool", {
      args: ["check", "config", config],
    }).output();
    const decoder = new TextDecoder();
    assert.ok(success, decoder.decode(stdout) + decoder.decode(stderr));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
