/** Slow readers, on an outlet and a clock that the test moves. */

import assert from "node:assert/strict";
import { Backlog } from "../../lib/relay/send_buffer.ts";
import { FakeClock } from "../helpers/clock.ts";
import { testPure } from "../helpers/pure.ts";

const OPTIONS = { maxBufferedBytes: 1000, idleTimeoutMs: 10_000 };
/** As often as a server looks. */
const LOOK_EVERY_MS = 1250;

class Bench {
  readonly outlet = { readyState: WebSocket.OPEN as number, bufferedAmount: 0 };
  readonly clock = new FakeClock();
  /** When it was said that too much waits. */
  tooMuchAtMs: number | null = null;
  readonly backlog: Backlog;

  constructor(options = OPTIONS) {
    this.backlog = new Backlog(this.outlet, options, this.clock, () => {
      this.tooMuchAtMs ??= this.clock.now();
    });
  }

  /** Sends a frame of so many bytes; false where it may not. */
  send(bytes: number): boolean {
    if (!this.backlog.admits("x".repeat(bytes))) return false;
    this.outlet.bufferedAmount += bytes;
    return true;
  }

  /** Looks from time to time, for so long. */
  look(ms: number): void {
    for (let past = 0; past < ms; past += LOOK_EVERY_MS) {
      this.clock.advance(LOOK_EVERY_MS);
      this.backlog.look();
    }
  }
}

testPure("admits() lets wait what the limit says, for as long as it takes", () => {
  const bench = new Bench();
  assert(bench.send(1000));
  assert(bench.send(10)); // 1000 were waiting
  bench.outlet.bufferedAmount = 1000;
  bench.clock.advance(3_600_000);
  assert.deepEqual([bench.tooMuchAtMs, bench.clock.pending], [null, 0]);
});

testPure("admits() does not look at the outlet while what was sent is within the limit", () => {
  let looks = 0;
  const outlet = {
    readyState: WebSocket.OPEN,
    get bufferedAmount() {
      looks++;
      return 0;
    },
  };
  const backlog = new Backlog(outlet, OPTIONS, new FakeClock(), assert.fail);
  for (let n = 0; n < 40; n++) assert(backlog.admits("x".repeat(100)));
  assert.equal(looks, 9); // every fourth time: 100 characters may take 300 bytes
});

testPure("admits() gives a client past the limit a tenth of a second to read", () => {
  const bench = new Bench();
  bench.send(1001);
  assert(bench.send(500));
  bench.clock.advance(99);
  assert.equal(bench.tooMuchAtMs, null);
  bench.clock.advance(1);
  assert.equal(bench.tooMuchAtMs, 100);
});

testPure("admits() counts what was sent meanwhile as what is to be read", () => {
  const bench = new Bench();
  bench.send(1001);
  bench.send(500);
  bench.outlet.bufferedAmount -= 1; // one byte was read
  bench.clock.advance(100);
  assert.equal(bench.tooMuchAtMs, null);
  bench.clock.advance(100);
  assert.equal(bench.tooMuchAtMs, 200);
});

testPure("admits() counts in UTF-8, as the outlet does", () => {
  const bench = new Bench();
  bench.send(1001);
  assert(bench.backlog.admits("\u{1f600}"));
  bench.outlet.bufferedAmount += 4;
  bench.clock.advance(100);
  assert.equal(bench.tooMuchAtMs, 100);
});

testPure("admits() takes a burst for a client that reads", () => {
  const bench = new Bench();
  for (let n = 0; n < 15; n++) assert(bench.send(1000));
  while (bench.outlet.bufferedAmount > 0) {
    bench.outlet.bufferedAmount -= 500;
    bench.clock.advance(100);
  }
  assert.deepEqual([bench.tooMuchAtMs, bench.clock.pending], [null, 0]);
});

testPure("admits() refuses what is past sixteen limits, at once", () => {
  const bench = new Bench();
  bench.send(16_000);
  assert(bench.send(1));
  assert.equal(bench.tooMuchAtMs, null);
  assert.equal(bench.send(1), false);
  assert.equal(bench.tooMuchAtMs, 0);
});

testPure("look() says so when what waits has not shrunk for 1.25 idle timeouts", () => {
  const bench = new Bench();
  bench.look(60_000);
  bench.send(10);
  bench.look(12_500); // the first look finds that something waits
  assert.equal(bench.tooMuchAtMs, null);
  bench.look(LOOK_EVERY_MS);
  assert.equal(bench.tooMuchAtMs, 60_000 + LOOK_EVERY_MS + 12_500);
});

testPure("look() says so within two idle timeouts after a client was cut off", () => {
  const { idleTimeoutMs } = OPTIONS;
  // Who gets stuck later does not keep the runtime from sending its ping, and so from closing after one idle timeout.
  for (let stuckAtMs = 0; stuckAtMs <= idleTimeoutMs / 2; stuckAtMs += 50) {
    const bench = new Bench();
    bench.clock.after(stuckAtMs, () => bench.send(10));
    bench.look(2 * idleTimeoutMs);
    assert.notEqual(bench.tooMuchAtMs, null, `stuck at ${stuckAtMs} ms`);
  }
});

testPure("look() is not deceived by what is sent meanwhile", () => {
  const bench = new Bench();
  bench.send(10);
  for (let n = 0; n < 16 && bench.tooMuchAtMs === null; n++) {
    bench.send(10);
    bench.look(LOOK_EVERY_MS);
  }
  assert.equal(bench.tooMuchAtMs, LOOK_EVERY_MS + 12_500);
});

testPure("look() lets a client be that reads, however slowly, or for which nothing waits", () => {
  const slow = new Bench();
  const idle = new Bench();
  for (slow.outlet.bufferedAmount = 1000; slow.outlet.bufferedAmount > 0;) {
    slow.outlet.bufferedAmount -= 1;
    slow.clock.advance(11_000);
    slow.backlog.look();
    idle.look(LOOK_EVERY_MS);
  }
  assert.deepEqual([idle.tooMuchAtMs, slow.tooMuchAtMs], [null, null]);
});

testPure("look() says so when the runtime's close is stuck", () => {
  const bench = new Bench();
  bench.outlet.readyState = WebSocket.CLOSING; // no pong came; bufferedAmount reads 0 from here on
  bench.look(LOOK_EVERY_MS);
  assert.equal(bench.tooMuchAtMs, null); // it may be a close that is under way
  bench.look(LOOK_EVERY_MS);
  assert.equal(bench.tooMuchAtMs, 2 * LOOK_EVERY_MS);
});

testPure("look() says nothing with the idle timeout 0", () => {
  const bench = new Bench({ ...OPTIONS, idleTimeoutMs: 0 });
  bench.send(10);
  bench.look(3_600_000);
  assert.equal(bench.tooMuchAtMs, null);
});
