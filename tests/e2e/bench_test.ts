/** The benchmark with so little to do that it takes seconds: that it runs, and that it would notice a mistake. */

import assert from "node:assert/strict";
import { SCENARIOS } from "../../scripts/bench/bench.ts";
import { drawChart } from "../../scripts/bench/chart.ts";
import { bareDeno, chooseContenders, type Contender } from "../../scripts/bench/contenders.ts";
import { readCpuList } from "../../scripts/bench/machine.ts";
import { addressed, candidate, offer } from "../../scripts/bench/messages.ts";
import { Inspector, NumberedFrame, NUMBERS_PER_SENDER } from "../../scripts/bench/numbered.ts";
import { scenarioLines, show, table } from "../../scripts/bench/report.ts";
import { summarize } from "../../scripts/bench/results.ts";
import { runIdle, runInTurns } from "../../scripts/bench/run.ts";
import { measureScale } from "../../scripts/bench/scale.ts";
import { spread } from "../../scripts/bench/statistics.ts";
import { fromSource } from "../helpers/program.ts";
import { QuietBench } from "../helpers/quiet_bench.ts";
import { isMissing } from "../helpers/tools.ts";

const ignore = isMissing(Deno.build.os === "linux", "Linux: the benchmark reads /proc");

const MAIN = fromSource().at(-1)!;

const PLAN = { turns: 1, sliceMs: 10, warmups: 0 };

Deno.test({ name: "every scenario gives a number for each contender", ignore }, async () => {
  await using bench = await QuietBench.create();
  const contenders = await contendersOf(["warn", "info"]);
  const runs = await runInTurns(bench, contenders, SCENARIOS, PLAN);
  assert.match(await bench.logOf("signalbox-info-to-a-file"), /INFO - 📤/);
  runs.push(await runIdle(bench, contenders, { idleRounds: 1, idleClients: 300 }));
  const results = runs.flatMap(({ metrics }) => metrics).flatMap(({ results }) => results);
  assert.equal(results.length, 8 * contenders.length);
  for (const { value } of results) assert.ok(value.median > 0 && Number.isFinite(value.median));
});

Deno.test({ name: "an aborted run stops its servers", ignore }, async () => {
  await using bench = await QuietBench.create(AbortSignal.abort(new Error("enough")));
  await assert.rejects(runInTurns(bench, [bareDeno()], SCENARIOS, PLAN), /^Error: enough$/);
});

Deno.test({ name: "every member of a room learns of all others", ignore }, async () => {
  await using bench = await QuietBench.create();
  const [, signalbox] = await contendersOf(["warn"]);
  const crowd = { activePairs: 2, idleClients: [0, 10], slices: 1, sliceMs: 10 };
  const plan = { crowd, storms: [20], rooms: [20] };
  const [result] = await measureScale(bench, [signalbox!], plan);
  assert.ok(result !== undefined);
  assert.deepEqual(result.crowd.map(({ clients }) => clients), [4, 14]);
  assert.ok(result.storms[0]!.longestWaitMs >= result.storms[0]!.medianWaitMs);
  assert.ok(result.rooms[0]!.joined.presenceFrames <= 20 * 19 / 2);
  assert.equal(result.rooms[0]!.resumed.presenceFrames, 0);
});

function contendersOf(levels: readonly string[]): Promise<Contender[]> {
  return chooseContenders({ main: [MAIN], levels, with: [], relays: [] }, assert.fail);
}

Deno.test("messages have the size that the report says", () => {
  assert.equal(addressed(candidate(), "getter_0001").length, 221);
  assert.equal(addressed(offer(), "getter_0001").length, 3498);
});

Deno.test("NumberedFrame writes a number into a masked frame", () => {
  const frame = new NumberedFrame(addressed(candidate(), "bob"));
  assert.match(unmasked(frame.with(1234)), /"candidate:00001234 1 udp/);
  assert.match(unmasked(frame.with(99_999_999)), /"candidate:99999999 1 udp/);
});

function unmasked(frame: Uint8Array): string {
  const keyStart = frame[1] === (0x80 | 126) ? 4 : 2;
  const key = frame.subarray(keyStart, keyStart + 4);
  const payload = frame.subarray(keyStart + 4).map((byte, index) => byte ^ key[index % 4]!);
  return new TextDecoder().decode(payload);
}

Deno.test("Inspector reads the numbers of several senders, whatever the order of members", () => {
  const inspector = new Inspector(candidate(), ["a", "b"]);
  for (const [sender, from] of [[0, "a"], [1, "b"], [0, "a"]] as const) {
    const number = sender * NUMBERS_PER_SENDER + 7;
    assert.equal(inspect(inspector, { from, ...numbered(number) }), number);
  }
});

Deno.test("Inspector notices a changed character and a wrong sender", () => {
  const inspector = new Inspector(candidate(), ["a", "b"]);
  assert.equal(inspect(inspector, { ...numbered(1), from: "a" }), 1);
  assert.throws(() => inspect(inspector, { ...numbered(2), from: "b" }), /damaged/);
  assert.throws(
    () => inspect(inspector, { ...numbered(2), type: "Candidate", from: "a" }),
    /damaged/,
  );
  assert.throws(() => inspect(inspector, { ...numbered(NUMBERS_PER_SENDER), from: "a" }), /deep/);
});

function numbered(number: number): Record<string, unknown> {
  const digits = `candidate:${String(number).padStart(8, "0")}`;
  return JSON.parse(JSON.stringify(candidate()).replace("candidate:00000000", digits));
}

function inspect(inspector: Inspector, message: unknown): number {
  const bytes = new TextEncoder().encode(`>>${JSON.stringify(message)}<<`);
  return inspector.inspect(bytes, 2, bytes.length - 2);
}

Deno.test("spread() gives the median and the quartiles", () => {
  assert.deepEqual(spread([5, 1, 4, 2, 3]), { lower: 2, median: 3, upper: 4 });
  assert.deepEqual(spread([4, 1]), { lower: 1.75, median: 2.5, upper: 3.25 });
});

Deno.test("summarize() takes ratios within a turn", () => {
  const metric = { name: "cpu", unit: "µs", label: "CPU" };
  const samples = new Map([
    ["bare Deno", [{ cpu: 10 }, { cpu: 20 }, { cpu: 40 }]],
    ["other", [{ cpu: 5 }, { cpu: 20 }, { cpu: 10 }]],
  ]);
  const { results } = summarize("candidate", metric, samples);
  assert.deepEqual(results[1]!.value, { lower: 7.5, median: 10, upper: 15 });
  assert.deepEqual(results[1]!.ratio, { lower: 0.375, median: 0.5, upper: 0.75 });
  const run = { name: "candidate", what: "", samples, metrics: [summarize("x", metric, samples)] };
  assert.match(scenarioLines(run), /other +10\.0 \(7\.5–15\.0\) +0\.50 \(0\.38–0\.75\)/);
  assert.match(table(run.metrics), /^\| other \| 10\.0 \(0\.50\) \|$/m);
  assert.match(table(run.metrics), /^\| bare Deno \| 20\.0 \|$/m);
});

Deno.test("summarize() leaves out who does not have the metric, and compares with whom it is told to", () => {
  const samples = new Map([
    ["alone", [{ node: 10 }, { node: 20 }]],
    ["cluster", [{ node: 30, redis: 5 }, { node: 20, redis: 5 }]],
  ]);
  const resultsOf = (name: string) =>
    summarize("candidate", { name, unit: "µs", label: "" }, samples, "alone").results;
  assert.deepEqual(resultsOf("node").map(({ ratio }) => ratio?.median), [undefined, 2]);
  assert.deepEqual(resultsOf("redis").map(({ contender, ratio }) => [contender, ratio]), [
    ["cluster", null],
  ]);
});

Deno.test("drawChart() places points by their values, and escapes names", () => {
  const series = [{ name: "a < b", points: [{ x: 0, y: 0 }, { x: 50, y: 100 }] }];
  const svg = drawChart({ title: "CPU & memory", xLabel: "clients", series });
  assert.match(svg, /<title>CPU &amp; memory<\/title>/);
  assert.match(svg, />a &lt; b<\/text>/);
  assert.match(svg, /points="64,324 570,56"/);
});

Deno.test("show() writes a number with the digits that mean something", () => {
  assert.deepEqual([1.62, 99.97, 382.4, 149_210].map(show), ["1.6", "100", "382", "149k"]);
});

Deno.test("readCpuList() reads ranges", () => {
  assert.deepEqual(readCpuList("0-2,8"), [0, 1, 2, 8]);
  assert.deepEqual(readCpuList(""), []);
});
