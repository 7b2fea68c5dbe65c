/** Memory: new connections are refused, then the process shuts down. Files: their limit is found. */

import assert from "node:assert/strict";
import { findFileLimit, MemoryWatch } from "../lib/process.ts";
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

testPure("MemoryWatch reports once that the limit is passed, and stays tight", () => {
  const { clock, watch, exceeded, use } = setUp(100);
  use(1001);
  use(5000);
  use(100);
  assert.deepEqual(exceeded, [1001]);
  assert.equal(watch.isTight, true);
  assert.equal(clock.pending, 0);
});

testPure("MemoryWatch checks at once, before its first interval", () => {
  assert.equal(setUp(800).watch.isTight, true);
  assert.deepEqual(setUp(1001).exceeded, [1001]);
});

testPure("MemoryWatch.stop() leaves no timer", () => {
  const { clock, watch, exceeded, use } = setUp(100);
  watch.stop();
  use(5000);
  assert.deepEqual([clock.pending, exceeded], [0, []]);
});

/** Files with a limit: opening one more throws. */
class FakeFiles {
  opened = 0;
  open = 0;

  constructor(readonly limit: number) {}

  openOne = (): Disposable => {
    if (this.open >= this.limit) throw new Error("Too many open files (os error 24)");
    this.opened++;
    this.open++;
    return { [Symbol.dispose]: () => this.open-- };
  };
}

testPure(
  "findFileLimit() is null if each connection can have a file, with some to spare",
  () => {
    const files = new FakeFiles(1_000_000);
    assert.equal(findFileLimit(1000, files.openOne), null);
    assert(files.opened > 1000);
    assert.equal(files.open, 0);
  },
);

testPure("findFileLimit() finds a limit that is too low", () => {
  for (const limit of [10, 256, 1000]) {
    const files = new FakeFiles(limit);
    assert.equal(findFileLimit(1000, files.openOne), limit);
    assert.equal(files.open, 0);
  }
});

testPure("findFileLimit() opens a bounded number of files", () => {
  const files = new FakeFiles(Infinity);
  assert.equal(findFileLimit(10_000_000, files.openOne), null);
  assert(files.opened <= 20_000);
});

testPure(
  "findFileLimit() is null if no file can be opened, which has another reason",
  () => {
    assert.equal(findFileLimit(1000, new FakeFiles(0).openOne), null);
  },
);
