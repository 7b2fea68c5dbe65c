/** A sample a second, ten minutes of them. */

import assert from "node:assert/strict";
import { History, type Sample } from "../../lib/admin/history.ts";
import { FakeClock } from "../helpers/clock.ts";
import { testPure } from "../helpers/pure.ts";

function start(): { clock: FakeClock; history: History } {
  const clock = new FakeClock();
  const history = new History(clock, () => ({ time_ms: clock.now() }) as Sample);
  return { clock, history };
}

function times(samples: readonly Sample[]): number[] {
  return samples.map(({ time_ms }) => time_ms);
}

testPure("History takes a sample at once, and one a second", () => {
  const { clock, history } = start();
  clock.advance(2500);
  assert.deepEqual(times(history.after(0)), [0, 1000, 2000]);
  assert.equal(history.taken, 3);
});

testPure("History.after() returns only new samples", () => {
  const { clock, history } = start();
  clock.advance(3000);
  assert.deepEqual(times(history.after(2)), [2000, 3000]);
  assert.deepEqual(history.after(history.taken), []);
});

testPure("History.after() returns all samples to a page that counts from another start", () => {
  const { clock, history } = start();
  clock.advance(1000);
  assert.deepEqual(times(history.after(500)), [0, 1000]);
});

testPure("History keeps ten minutes, however long it runs", () => {
  const { clock, history } = start();
  clock.advance(3_600_000);
  const kept = times(history.after(0));
  assert.equal(kept.length, 600);
  assert.equal(kept[0], 3_001_000);
  assert.equal(kept.at(-1), 3_600_000);
  assert.deepEqual(times(history.after(history.taken - 2)), [3_599_000, 3_600_000]);
});

testPure("History.stop() leaves no timer behind", () => {
  const { clock, history } = start();
  history.stop();
  assert.equal(clock.pending, 0);
});
