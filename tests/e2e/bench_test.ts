/** The benchmarks run, with so little to do that they take seconds. */

import assert from "node:assert/strict";
import { SCENARIOS } from "../../scripts/bench/bench.ts";
import { drawChart } from "../../scripts/bench/chart.ts";
import { chooseContenders, type Contender } from "../../scripts/bench/contenders.ts";
import { addressed, candidate, offer } from "../../scripts/bench/messages.ts";
import { SCENARIOS as PEERJS_SCENARIOS } from "../../scripts/bench/peerjs.ts";
import { PEERJS, Y_WEBRTC } from "../../scripts/bench/protocol.ts";
import { table } from "../../scripts/bench/report.ts";
import { runIdle, runInTurns } from "../../scripts/bench/run.ts";
import { measureScale } from "../../scripts/bench/scale.ts";
import { fromSource } from "../helpers/program.ts";
import { QuietBench } from "../helpers/quiet_bench.ts";
import { isMissing } from "../helpers/tools.ts";

const ignore = isMissing(Deno.build.os === "linux", "Linux: the benchmark reads /proc");

const MAIN = fromSource().at(-1)!;

function contendersOf(levels: readonly string[]): Promise<Contender[]> {
  return chooseContenders({ main: [MAIN], levels, with: [], relays: [] }, assert.fail);
}

Deno.test({ name: "every scenario gives a number for each contender", ignore }, async () => {
  await using bench = await QuietBench.create();
  const contenders = await contendersOf(["warn", "info"]);
  const runs = await runInTurns(bench, contenders, SCENARIOS, {
    turns: 1,
    sliceMs: 10,
    warmups: 0,
  });
  assert.match(await bench.logOf("signalbox-info-to-a-file"), /INFO - 📤/);
  runs.push(await runIdle(bench, contenders, { idleRounds: 1, idleClients: 300 }));
  const metrics = runs.flatMap(({ metrics }) => metrics);
  const results = metrics.flatMap(({ results }) => results);
  assert.equal(results.length, 8 * contenders.length);
  for (const { value } of results) assert.ok(value.median > 0 && Number.isFinite(value.median));
  assert.match(table(metrics), /^\| bare Deno \| \d/m);
});

for (const [name, protocol] of [["PeerJS", PEERJS], ["y-webrtc", Y_WEBRTC]] as const) {
  Deno.test(
    { name: `every scenario in the protocol of ${name} gives a number`, ignore },
    async () => {
      await using bench = await QuietBench.create();
      const [, signalbox] = await contendersOf(["warn"]);
      const compared = { ...bench, protocol, baseline: signalbox!.name };
      const plan = { turns: 1, sliceMs: 10, warmups: 0 };
      const runs = await runInTurns(compared, [signalbox!], PEERJS_SCENARIOS, plan);
      runs.push(await runIdle(compared, [signalbox!], { idleRounds: 1, idleClients: 100 }));
      const results = runs.flatMap(({ metrics }) => metrics).flatMap(({ results }) => results);
      assert.equal(results.length, 4);
      for (const { value } of results) assert.ok(value.median > 0 && Number.isFinite(value.median));
    },
  );
}

Deno.test(
  { name: "measureScale() gives numbers for starts, crowds, storms and rooms", ignore },
  async () => {
    await using bench = await QuietBench.create();
    const [, signalbox] = await contendersOf(["warn"]);
    const crowd = { activePairs: 2, idleClients: [0, 10], slices: 1, sliceMs: 10, quietMs: 10 };
    const rooms = [
      { members: 20, presence: true },
      { members: 20, presence: "batch" },
    ] as const;
    const start = { starts: 1, quietMs: 10 };
    const plan = { start, crowd, storms: [20], rooms };
    const [result] = await measureScale(bench, [signalbox!], plan);
    assert.ok(result!.start.listensAfterMs > 0);
    assert.deepEqual(result!.crowd.map(({ clients }) => clients), [4, 14]);
    assert.deepEqual(result!.storms.map(({ hasTokens }) => hasTokens), [false, true]);
    assert.ok(result!.storms[0]!.longestWaitMs >= result!.storms[0]!.medianWaitMs);
    const [single, batched] = result!.rooms.map(({ joined }) => joined.presenceNotices);
    assert.ok(result!.rooms.every(({ broadcast }) => broadcast.wallMs > 0));
    assert.ok(single! <= 20 * 19 / 2 && batched! <= single!);
    const series = [{
      name: "a < b",
      points: result!.crowd.map(({ clients }) => ({ x: clients, y: 1 })),
    }];
    assert.match(drawChart({ title: "CPU", xLabel: "clients", series }), />a &lt; b<\/text>/);
  },
);

Deno.test("messages have the size that the report says", () => {
  assert.equal(addressed(candidate(), "getter_0001").length, 221);
  assert.equal(addressed(offer(), "getter_0001").length, 3498);
});
