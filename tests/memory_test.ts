/** Memory is watched: first nobody new is let in, then the process is given up, once. */

import assert from "node:assert/strict";
import { MemoryWatch } from "../lib/memory.ts";
import { FakeClock } from "./helpers/clock.ts";
import { testPure } from "./helpers/pure.ts";

/** A watch with a limit of 1,000 bytes. */
function setUp(bytes: number) {
  const clock = new FakeClock();
  const exceeded: number[] = [];
  const memory = { bytes };
  const watch = new MemoryWatch(clock, 1000, () => memory.bytes, (bytes) => exceeded.push(bytes));
  const use = (bytes: number) => {
    memory.bytes = bytes;
    clock.advance(250);
  };
  return { clock, watch, exceeded, use };
}

testPure("MemoryWatch is tight above three quarters of the limit, and no longer below", () => {
  const { watch, exceeded, use } = setUp(100);
  const tight = [100, 750, 751, 1000, 751, 750, 100].map((bytes) => {
    use(bytes);
    return watch.isTight;
  });
  assert.deepEqual(tight, [false, false, true, true, true, false, false]);
  assert.deepEqual(exceeded, []);
});

testPure("MemoryWatch tells once that the limit is passed, and stays tight", () => {
  const { clock, watch, exceeded, use } = setUp(100);
  use(1001);
  use(5000);
  use(100);
  assert.deepEqual(exceeded, [1001]);
  assert.equal(watch.isTight, true);
  assert.equal(clock.pending, 0);
});

testPure("MemoryWatch looks at once, not only when its first interval is over", () => {
  assert.equal(setUp(800).watch.isTight, true);
  assert.deepEqual(setUp(1001).exceeded, [1001]);
});

testPure("MemoryWatch.stop() leaves no timer", () => {
  const { clock, watch, exceeded, use } = setUp(100);
  watch.stop();
  use(5000);
  assert.deepEqual([clock.pending, exceeded], [0, []]);
});
