/** The cluster's benchmark with so little to do that it takes seconds: that it runs, and that it would notice a mistake. */

import assert from "node:assert/strict";
import { nodeChannel } from "../../lib/cluster/keys.ts";
import { MessageLoad } from "../../scripts/bench/cluster/message_load.ts";
import { measureNodes } from "../../scripts/bench/cluster/nodes.ts";
import { RegistrationLoad } from "../../scripts/bench/cluster/registration_load.ts";
import { RespReader, type Value, writeCommand } from "../../scripts/bench/cluster/resp.ts";
import { measureSaturation } from "../../scripts/bench/cluster/saturation.ts";
import { type SimulatedNode, SimulatedNodes } from "../../scripts/bench/cluster/simulated_node.ts";
import { fromSource } from "../helpers/program.ts";
import { QuietBench } from "../helpers/quiet_bench.ts";
import { isRedisMissing, TestRedis } from "../helpers/redis.ts";
import { isMissing } from "../helpers/tools.ts";

const isElsewhere = isMissing(Deno.build.os === "linux", "Linux: the benchmark reads /proc");
const ignore = isElsewhere || isRedisMissing();

const MAIN = fromSource().at(-1)!;
const PLAN = { turns: 1, sliceMs: 10, warmups: 0 };

Deno.test({ name: "measureNodes() measures one node, a cluster's, and two", ignore }, async () => {
  await using bench = await QuietBench.create();
  const runs = await measureNodes(bench, MAIN, PLAN);
  const count = (name: string) =>
    runs.find((run) => run.name === name)!.metrics.map(({ results }) => results.length);
  assert.deepEqual(count("candidate"), [3, 1, 2]);
  assert.deepEqual(count("latency"), [3, 3]);
  assert.deepEqual(count("broadcast"), [3, 1, 2]);
  assert.deepEqual(count("registration"), [3, 2, 2]);
  for (const { metrics: [first] } of runs) {
    for (const { value } of first!.results) assert.ok(value.median > 0);
  }
});

Deno.test({ name: "measureSaturation() gives Redis's rate and CPU", ignore }, async () => {
  await using bench = await QuietBench.create();
  const { metrics } = await measureSaturation(bench, PLAN);
  assert.deepEqual(metrics.map(({ metric }) => metric.name), ["rate", "busy", "cpu", "limit"]);
  for (const { value } of metrics.flatMap(({ results }) => results)) {
    assert.ok(value.median > 0 && Number.isFinite(value.median));
  }
});

/** Runs something with two nodes at a Redis, and says something more on the channel of the second. */
async function disturb(use: (all: SimulatedNodes, nodes: readonly SimulatedNode[]) => void) {
  await using redis = await TestRedis.start();
  const all = new SimulatedNodes();
  try {
    const nodes = all.open(redis.port, "test", 2);
    use(all, nodes);
    await redis.command("PUBLISH", nodeChannel(nodes[1]!.id), "nonsense");
    all.waitUntil(() => false);
  } finally {
    all.close();
  }
}

Deno.test({ name: "MessageLoad notices a message that nobody has sent", ignore }, async () => {
  const use = (all: SimulatedNodes, nodes: readonly SimulatedNode[]) => {
    const load = new MessageLoad(all, nodes);
    load.begin(1);
    load.drain();
    all.waitUntil(() => load.ended === 2);
    assert.equal(load.begun, 2);
  };
  await assert.rejects(disturb(use), /^Error: nonsense came in place of \{/);
});

Deno.test({ name: "RegistrationLoad notices what is no answer", ignore }, async () => {
  const use = (all: SimulatedNodes, nodes: readonly SimulatedNode[]) => {
    const load = new RegistrationLoad(all, nodes, false);
    load.begin(3);
    load.drain();
    all.waitUntil(() => load.ended === 6);
    assert.equal(load.begun, 6);
  };
  await assert.rejects(disturb(use), /^Error: not expected: nonsense$/);
});

Deno.test("RespReader reads values, wherever they are cut", () => {
  const text = ":7\r\n$4\r\nse\r\n\r\n_\r\n*2\r\n+a\r\n$0\r\n\r\n" +
    ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n";
  for (let cut = 0; cut <= text.length; cut++) {
    const reader = new RespReader();
    const values: Value[] = [];
    for (const piece of [text.slice(0, cut), text.slice(cut)]) {
      reader.add(piece);
      for (let value = reader.next(); value !== undefined; value = reader.next()) {
        values.push(value);
      }
    }
    assert.deepEqual(values, [7, "se\r\n", null, ["a", ""], { channel: "c", text: "hi" }]);
  }
});

Deno.test("RespReader throws an error that Redis reports", () => {
  const reader = new RespReader();
  reader.add("-NOSCRIPT No matching script.\r\n");
  assert.throws(() => reader.next(), /^Error: Redis says -NOSCRIPT/);
});

Deno.test("writeCommand() writes the length before each part", () => {
  assert.equal(writeCommand(["GET", 12]), "*2\r\n$3\r\nGET\r\n$2\r\n12\r\n");
});
