/** Memory: new connections are refused, then the process shuts down. Files: their limit is found. */

import assert from "node:assert/strict";
import { findFileLimit, type MemoryUsage, MemoryWatch } from "../lib/process.ts";
import { FakeClock } from "./helpers/clock.ts";
import { testPure } from "./helpers/pure.ts";

const KB = 1000;
const IDLE = { rss: 100 * KB, heapTotal: 30 * KB, heapUsed: 20 * KB, external: 0 };

/** A watch with a limit of 1,000 KB. */
function setUp(usage: Partial<MemoryUsage> = {}) {
  const clock = new FakeClock();
  const exceeded: number[] = [];
  const memory = { usage: { ...IDLE, ...usage }, garbageBytes: 0, heldBytes: 0, collections: 0 };
  const probe = {
    usage: () => memory.usage,
    heldBytes: () => memory.heldBytes,
    collect() {
      memory.collections++;
      const heapUsed = memory.usage.heapUsed - memory.garbageBytes;
      memory.usage = { ...memory.usage, heapUsed };
      memory.garbageBytes = 0;
    },
  };
  const watch = new MemoryWatch(clock, 1000 * KB, probe, (bytes) => exceeded.push(bytes));
  /** Uses this much outside of the heap, for a time. */
  const use = (bytes: number, ms = 100) => {
    memory.usage = { ...memory.usage, rss: bytes + memory.usage.heapTotal };
    clock.advance(ms);
  };
  return { clock, watch, exceeded, memory, use };
}

testPure("MemoryWatch is tight as long as memory grows above three quarters of the limit", () => {
  const { watch, exceeded, use } = setUp();
  const tight = [100, 720, 740, 800, 815, 850].map((kilobytes) => {
    use(kilobytes * KB);
    return watch.isTight;
  });
  assert.deepEqual(tight, [false, false, true, true, true, true]);
  use(850 * KB, 2900);
  assert.equal(watch.isTight, true);
  use(850 * KB, 200);
  assert.equal(watch.isTight, false); // what a flood has left
  use(855 * KB);
  assert.equal(watch.isTight, false); // some of it is used again
  use(870 * KB);
  assert.equal(watch.isTight, true); // someone fills it
  use(100 * KB);
  assert.equal(watch.isTight, false);
  assert.deepEqual(exceeded, []);
});

testPure("MemoryWatch stays tight if what is known to be in use is too much", () => {
  const { watch, memory, use } = setUp();
  memory.heldBytes = 740 * KB;
  use(850 * KB, 60_000);
  assert.equal(watch.isTight, true);
  memory.heldBytes = 700 * KB;
  use(850 * KB);
  assert.equal(watch.isTight, false);
  memory.heldBytes = Infinity; // an estimate is no more than what there is
  use(700 * KB);
  assert.equal(watch.isTight, false);
});

testPure("MemoryWatch collects garbage before it counts", () => {
  const { clock, watch, exceeded, memory } = setUp();
  memory.usage = { rss: 1100 * KB, heapTotal: 1050 * KB, heapUsed: 1020 * KB, external: 0 };
  memory.garbageBytes = 900 * KB;
  clock.advance(60_000);
  assert.deepEqual([memory.collections, watch.isTight, exceeded], [1, false, []]);
});

testPure("MemoryWatch collects seldom, whatever is gained", () => {
  const { memory, use } = setUp();
  use(900 * KB, 20_000);
  assert(memory.collections >= 3 && memory.collections <= 5, `${memory.collections}`);
});

testPure("MemoryWatch reports once that the limit is passed, and stays tight", () => {
  const { clock, watch, exceeded, use } = setUp();
  use(990 * KB);
  use(5000 * KB);
  use(100 * KB);
  assert.deepEqual(exceeded, [1010 * KB]);
  assert.equal(watch.isTight, true);
  assert.equal(clock.pending, 0);
});

testPure("MemoryWatch does not count free parts of the heap", () => {
  const { watch, exceeded } = setUp({ rss: 1500 * KB, heapTotal: 1400 * KB });
  assert.deepEqual([watch.isTight, exceeded], [false, []]);
});

testPure("MemoryWatch checks at once, before its first interval", () => {
  assert.equal(setUp({ rss: 800 * KB }).watch.isTight, true);
  assert.deepEqual(setUp({ rss: 1011 * KB }).exceeded, [1001 * KB]);
});

testPure("MemoryWatch.stop() leaves no timer", () => {
  const { clock, watch, exceeded, use } = setUp();
  watch.stop();
  use(5000 * KB);
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

testPure("findFileLimit() is null if there are files for all, with some to spare", () => {
  const files = new FakeFiles(1_000_000);
  assert.equal(findFileLimit(1000, files.openOne), null);
  assert(files.opened > 1000);
  assert.equal(files.open, 0);
});

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

testPure("findFileLimit() is null if no file can be opened, for another reason", () => {
  assert.equal(findFileLimit(1000, new FakeFiles(0).openOne), null);
});
