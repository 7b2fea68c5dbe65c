/** The computations of the admin page, without a page. */

import assert from "node:assert/strict";
import { niceCeiling } from "../../lib/web/admin/chart.js";
import { closeMeaning, duration, number, size, visible } from "../../lib/web/admin/format.js";
import { Timeline } from "../../lib/web/admin/timeline.js";
import { Metrics } from "../../lib/admin/metrics.ts";
import { FakeClock } from "../helpers/clock.ts";
import { testPure } from "../helpers/pure.ts";

type Sample = Parameters<Timeline["add"]>[2][number];

/** A sample of that second, in which everything that is counted was counted so often since the start. */
function sample(second: number, count: number): Sample {
  return {
    time_ms: 1000 * second,
    connections: 3,
    clients: 2,
    kept_messages: 0,
    waiting_bytes: 0,
    memory_bytes: 1,
    cpu_seconds: count / 100,
    opened: count,
    messages: count,
    deliveries: 2 * count,
    errors: count,
  };
}

testPure("Timeline turns counts into what happens in a second", () => {
  const timeline = new Timeline();
  timeline.add("a", 3, [sample(1, 10), sample(2, 30), sample(5, 50)]);
  const points = timeline.points.map(({ timeMs, messages, deliveries, cpuShare }) => (
    { timeMs, messages, deliveries, cpuShare: Math.round(cpuShare * 100) }
  ));
  assert.deepEqual(points, [
    { timeMs: 2000, messages: 20, deliveries: 40, cpuShare: 20 },
    { timeMs: 5000, messages: 10, deliveries: 20, cpuShare: 10 },
  ]);
  assert.equal(timeline.taken, 3);
});

testPure("Timeline takes rates from the last five seconds", () => {
  const timeline = new Timeline();
  const burst = [0, 0, 10, 10, 10, 10, 10, 10];
  timeline.add("a", 8, burst.map((count, second) => sample(second, count)));
  const rates = timeline.points.map(({ messages }) => messages);
  assert.deepEqual(rates, [0, 5, 10 / 3, 2.5, 2, 2, 0]);
});

testPure("Timeline goes on from the last sample, and sees that a server counts anew", () => {
  const timeline = new Timeline();
  timeline.add("a", 1, [sample(1, 100)]);
  timeline.add("a", 2, [sample(2, 101)]);
  timeline.add("b", 2, [sample(8, 0), sample(9, 2)]);
  assert.deepEqual(timeline.points.map(({ messages }) => messages), [1, 2]);
  assert.equal(timeline.taken, 2);
});

testPure("Timeline keeps ten minutes", () => {
  const timeline = new Timeline();
  for (let second = 0; second < 2000; second++) timeline.add("a", second, [sample(second, 0)]);
  assert.equal(timeline.points.length, 600);
  assert.equal(timeline.points[0]?.timeMs, 1_400_000);
});

testPure("visible() shows what could not be seen, and leaves other text alone", () => {
  assert.equal(visible("a\u202eb\u200b\u2028\u{e0001}"), "a‹U+202E›b‹U+200B›‹U+2028›‹U+E0001›");
  for (const text of ["receiver_001", "日本語", "שלום", "é", "e\u0301", "😀", "<b>", " "]) {
    assert.equal(visible(text), text);
  }
});

testPure("number(), size() and duration() are short", () => {
  assert.deepEqual([0, 1.25, 9.96, 10.4, 12345].map(number), ["0", "1.3", "10", "10", "12,345"]);
  assert.deepEqual(
    [0, 999, 1000, 1024 ** 2, 5e9].map(size),
    ["0 B", "999 B", "1 KiB", "1 MiB", "4.7 GiB"],
  );
  assert.deepEqual(
    [-5, 59_999, 60_000, 3_600_000, 90_000_000].map(duration),
    ["0 s", "59 s", "1 min", "1 h 0 min", "1 d 1 h"],
  );
});

testPure("niceCeiling() is round, never below the value, and at most twice it", () => {
  for (const value of [0, 0.3, 1, 1.1, 2, 3, 4.5, 10, 11, 99, 100, 101, 250, 999, 40_001]) {
    const ceiling = niceCeiling(value);
    assert.ok(ceiling >= value, String(value));
    assert.ok(ceiling <= Math.max(1, 2 * value), String(value));
    assert.match(String(ceiling), /^[1246]0*$/);
  }
});

testPure("closeMeaning() knows every code that is counted", () => {
  for (const code of new Metrics(new FakeClock()).closes.keys()) {
    assert.notEqual(closeMeaning(String(code)), "", String(code));
  }
  assert.equal(closeMeaning("4000"), "");
});
