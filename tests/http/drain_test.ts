/** Many clients are closed one group after another, few at once. */

import assert from "node:assert/strict";
import { atMost, closeSpread } from "../../lib/http/drain.ts";
import { FakeClock } from "../helpers/clock.ts";

/** Closes this many over a second; returns when each was closed, in milliseconds. */
async function closeAll(count: number): Promise<number[]> {
  const clock = new FakeClock();
  const closedAt: number[] = [];
  let isDone = false;
  const items = Array.from({ length: count }, (_, n) => n);
  const done = closeSpread(items, 1000, clock, () => closedAt.push(clock.now()));
  done.then(() => isDone = true);
  const start = clock.now();
  while (!isDone) {
    await new Promise((resolve) => setTimeout(resolve));
    clock.advance(10);
  }
  return closedAt.map((time) => time - start);
}

Deno.test("closeSpread() closes up to a hundred at once", async () => {
  assert.deepEqual(await closeAll(0), []);
  assert.deepEqual(await closeAll(100), Array(100).fill(0));
});

Deno.test("closeSpread() spreads more than a hundred evenly over the time", async () => {
  const times = await closeAll(1000);
  assert.equal(times.length, 1000);
  assert.equal(
    Math.max(...Map.groupBy(times, (time) => time).values().map((all) => all.length)),
    50,
  );
  assert(times.at(-1)! > 900 && times.at(-1)! <= 1000, `${times.at(-1)}`);
});

Deno.test("closeSpread() closes all, also if there is no time to spread them over", async () => {
  const clock = new FakeClock();
  let closed = 0;
  await closeSpread(Array(1000), 0, clock, () => closed++);
  assert.equal(closed, 1000);
});

Deno.test("atMost() ends with the work, with its failure, or when the time is up", async () => {
  const clock = new FakeClock();
  await atMost(1000, clock, Promise.resolve());
  await assert.rejects(atMost(1000, clock, Promise.reject(new Error("no"))), /^Error: no$/);
  const late = atMost(1000, clock, new Promise(() => {}));
  clock.advance(1000);
  await late;
  assert.equal(clock.pending, 0);
});
