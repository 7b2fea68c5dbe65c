/** The cluster's benchmark runs, with so little to do that it takes seconds. */

import assert from "node:assert/strict";
import { columns } from "../../scripts/bench/cluster.ts";
import { measureNodes } from "../../scripts/bench/cluster/nodes.ts";
import { measureListing, measureReturn } from "../../scripts/bench/cluster/crowds.ts";
import { table } from "../../scripts/bench/report.ts";
import { untilStatus } from "../helpers/health.ts";
import { fromSource, ServingProgram } from "../helpers/program.ts";
import { QuietBench } from "../helpers/quiet_bench.ts";
import { isRedisMissing, TestRedis } from "../helpers/redis.ts";
import { isMissing } from "../helpers/tools.ts";

const isElsewhere = isMissing(Deno.build.os === "linux", "Linux: the benchmark reads /proc");
const ignore = isElsewhere || isRedisMissing();

Deno.test({ name: "measureNodes() gives one table for all nodes", ignore }, async () => {
  await using bench = await QuietBench.create();
  const plan = { turns: 1, sliceMs: 10, warmups: 0 };
  const runs = await measureNodes(bench, fromSource().at(-1)!, plan);
  for (const { metrics } of runs) {
    for (const { value } of metrics[0]!.results) assert.ok(value.median > 0);
  }
  const rows = table(columns(runs)).trim().split("\n");
  assert.equal(rows.length, 2 + 4 * 3 + 1);
  assert.match(rows.join("\n"), /^\| candidate, across two nodes \| \d/m);
});

Deno.test(
  { name: "a small crowd is back after Redis, and its room is listed", ignore },
  async () => {
    assert.ok(await measureReturn({ nodes: 3, clientsPerNode: 2 }) > 0);
    await using redis = await TestRedis.start();
    await using node = await ServingProgram.start(["--redis", redis.url]);
    await untilStatus(node.httpUrl, "ok");
    assert.ok((await measureListing(redis, node.url, 1000)).listingMs > 0);
  },
);
