/** The table of metrics is what Prometheus gets. */

import assert from "node:assert/strict";
import { startServerWithAdmin } from "../helpers/admin.ts";
import { codeIn, readDocument, tableUnder } from "../helpers/documents.ts";

/** Metrics that are there only if an option asks for what they measure. */
const CONDITIONAL = ["signalbox_cluster_up"];

Deno.test("operating.md has every metric with its type and its labels", async () => {
  await using server = startServerWithAdmin();
  const text = await (await fetch(`${server.adminUrl}/metrics`)).text();
  const documented = new Map(
    tableUnder(readDocument("operating"), "Metrics").map(([metric, type]) => {
      const [, name, labels = ""] = /^(\w+)(?:\{(.+)\})?$/.exec(codeIn(metric!)[0]!)!;
      return [name!, { type: type!, labels }];
    }),
  );
  const types = new Map(
    [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, n, type]) => [n!, type!]),
  );
  assert.deepEqual(
    [...documented.keys()].filter((name) => !CONDITIONAL.includes(name)).toSorted(),
    [...types.keys()].toSorted(),
  );
  for (const [name, type] of types) assert.equal(documented.get(name)!.type, type, name);
  for (const [, name, label] of text.matchAll(/^(\w+)\{(\w+)="/gm)) {
    if (label === "le") continue; // histograms'
    assert.equal(documented.get(name!)!.labels, label, name);
  }
});
