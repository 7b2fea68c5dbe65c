/** Slow readers, with a fake socket and a fake clock. */

import assert from "node:assert/strict";
import { BufferedTotal, SendBuffer } from "../../lib/relay/send_buffer.ts";
import { FakeClock } from "../helpers/clock.ts";
import { testPure } from "../helpers/pure.ts";

const OPTIONS = { maxBufferedBytes: 1000, idleTimeoutMs: 10_000 };
/** Interval of a server's checks. */
const CHECK_EVERY_MS = 1250;

class Bench {
  readonly socket = { readyState: WebSocket.OPEN as number, bufferedAmount: 0 };
  readonly clock = new FakeClock();
  /** Time at which the client was dropped. */
  droppedAtMs: number | null = null;
  readonly buffer: SendBuffer;

  constructor(options = OPTIONS, total = new BufferedTotal(Infinity)) {
    this.buffer = new SendBuffer(this.socket, options, total, this.clock, () => {
      this.droppedAtMs ??= this.clock.now();
    });
  }

  /** Sends a message of this size; returns false if it may not be sent. */
  send(bytes: number): boolean {
    if (!this.buffer.canSend("x".repeat(bytes))) return false;
    this.socket.bufferedAmount += bytes;
    return true;
  }

  /** Advances the clock, with the checks of that time. */
  check(ms: number): void {
    for (let past = 0; past < ms; past += CHECK_EVERY_MS) {
      this.clock.advance(CHECK_EVERY_MS);
      this.buffer.checkStalled();
    }
  }
}

testPure("canSend() allows a buffer up to the limit for any time", () => {
  const bench = new Bench();
  assert(bench.send(1000));
  assert(bench.send(10)); // 1000 were waiting
  bench.socket.bufferedAmount = 1000;
  bench.clock.advance(3_600_000);
  assert.deepEqual([bench.droppedAtMs, bench.clock.pending], [null, 0]);
});

testPure("canSend() does not read bufferedAmount while the sent bytes are within the limit", () => {
  let asked = 0;
  const socket = {
    readyState: WebSocket.OPEN,
    get bufferedAmount() {
      asked++;
      return 0;
    },
  };
  const total = new BufferedTotal(Infinity);
  const buffer = new SendBuffer(socket, OPTIONS, total, new FakeClock(), assert.fail);
  for (let n = 0; n < 40; n++) assert(buffer.canSend("x".repeat(100)));
  assert.equal(asked, 9); // every fourth time: 100 characters may take 300 bytes
});

testPure("canSend() gives a client past the limit 100 ms to read", () => {
  const bench = new Bench();
  bench.send(1001);
  assert(bench.send(500));
  bench.clock.advance(99);
  assert.equal(bench.droppedAtMs, null);
  bench.clock.advance(1);
  assert.equal(bench.droppedAtMs, 100);
});

testPure("canSend() counts bytes that are sent during the grace time", () => {
  const bench = new Bench();
  bench.send(1001);
  bench.send(500);
  bench.socket.bufferedAmount -= 1; // one byte was read
  bench.clock.advance(100);
  assert.equal(bench.droppedAtMs, null);
  bench.clock.advance(100);
  assert.equal(bench.droppedAtMs, 200);
});

testPure("canSend() counts in UTF-8, as the socket does", () => {
  const bench = new Bench();
  bench.send(1001);
  assert(bench.buffer.canSend("\u{1f600}"));
  bench.socket.bufferedAmount += 4;
  bench.clock.advance(100);
  assert.equal(bench.droppedAtMs, 100);
});

testPure("canSend() allows a burst for a client that reads", () => {
  const bench = new Bench();
  for (let n = 0; n < 15; n++) assert(bench.send(1000));
  while (bench.socket.bufferedAmount > 0) {
    bench.socket.bufferedAmount -= 500;
    bench.clock.advance(100);
  }
  assert.deepEqual([bench.droppedAtMs, bench.clock.pending], [null, 0]);
});

testPure("canSend() refuses at once past sixteen limits", () => {
  const bench = new Bench();
  bench.send(16_000);
  assert(bench.send(1));
  assert.equal(bench.droppedAtMs, null);
  assert.equal(bench.send(1), false);
  assert.equal(bench.droppedAtMs, 0);
});

testPure("checkStalled() drops a client that reads nothing for 1.25 idle timeouts", () => {
  const bench = new Bench();
  bench.check(60_000);
  bench.send(10);
  bench.check(12_500); // the first check finds a filled buffer
  assert.equal(bench.droppedAtMs, null);
  bench.check(CHECK_EVERY_MS);
  assert.equal(bench.droppedAtMs, 60_000 + CHECK_EVERY_MS + 12_500);
});

testPure("checkStalled() drops a client within two idle timeouts after it was cut off", () => {
  const { idleTimeoutMs } = OPTIONS;
  // A client that stalls later gets its ping, and is closed by the runtime after one idle timeout.
  for (let stuckAtMs = 0; stuckAtMs <= idleTimeoutMs / 2; stuckAtMs += 50) {
    const bench = new Bench();
    bench.clock.after(stuckAtMs, () => bench.send(10));
    bench.check(2 * idleTimeoutMs);
    assert.notEqual(bench.droppedAtMs, null, `stuck at ${stuckAtMs} ms`);
  }
});

testPure("checkStalled() drops a stalled client that is still sent messages", () => {
  const bench = new Bench();
  bench.send(10);
  for (let n = 0; n < 16 && bench.droppedAtMs === null; n++) {
    bench.send(10);
    bench.check(CHECK_EVERY_MS);
  }
  assert.equal(bench.droppedAtMs, CHECK_EVERY_MS + 12_500);
});

testPure("checkStalled() keeps a client that reads slowly, or has read everything", () => {
  const slow = new Bench();
  const idle = new Bench();
  for (slow.socket.bufferedAmount = 1000; slow.socket.bufferedAmount > 0;) {
    slow.socket.bufferedAmount -= 1;
    slow.clock.advance(11_000);
    slow.buffer.checkStalled();
    idle.check(CHECK_EVERY_MS);
  }
  assert.deepEqual([idle.droppedAtMs, slow.droppedAtMs], [null, null]);
});

testPure("checkStalled() drops a client if the runtime's close is stuck", () => {
  const bench = new Bench();
  bench.socket.readyState = WebSocket.CLOSING; // no pong came; from now on bufferedAmount is 0
  bench.check(CHECK_EVERY_MS);
  assert.equal(bench.droppedAtMs, null); // it may be a close that is under way
  bench.check(CHECK_EVERY_MS);
  assert.equal(bench.droppedAtMs, 2 * CHECK_EVERY_MS);
});

testPure("checkStalled() drops no client with the idle timeout 0", () => {
  const bench = new Bench({ ...OPTIONS, idleTimeoutMs: 0 });
  bench.send(10);
  bench.check(3_600_000);
  assert.equal(bench.droppedAtMs, null);
});

// The total.

testPure("canSend() adds a buffer past the limit to the total, and release() takes it out", () => {
  const total = new BufferedTotal(Infinity);
  const [a, b] = [new Bench(OPTIONS, total), new Bench(OPTIONS, total)];
  for (const bench of [a, b]) {
    bench.send(1000);
    bench.send(500); // 1000 were waiting, within the limit
  }
  assert.equal(total.bytes, 0);
  for (const bench of [a, b]) bench.send(100);
  assert.equal(total.bytes, 2 * 1600);
  a.buffer.stop(); // closed, but not ended
  a.socket.readyState = WebSocket.CLOSING;
  a.socket.bufferedAmount = 0; // from now on, in the runtime
  a.buffer.checkStalled();
  assert.equal(total.bytes, 2 * 1600);
  a.buffer.release();
  assert.equal(total.bytes, 1600);
  b.buffer.release();
  b.buffer.release();
  assert.equal(total.bytes, 0);
});

testPure("checkStalled() and stop() add a buffer within the limit to the total", () => {
  const total = new BufferedTotal(Infinity);
  const bench = new Bench({ ...OPTIONS, idleTimeoutMs: 0 }, total);
  bench.send(10);
  bench.buffer.checkStalled();
  assert.equal(total.bytes, 10);
  bench.send(10);
  bench.buffer.stop();
  assert.equal(total.bytes, 20);
  bench.buffer.release();
  assert.equal(total.bytes, 0);
});

testPure("canSend() updates the total when the grace time ends", () => {
  const total = new BufferedTotal(Infinity);
  const bench = new Bench(OPTIONS, total);
  bench.send(1001);
  bench.send(500);
  bench.socket.bufferedAmount = 1200;
  bench.clock.advance(100);
  assert.equal(total.bytes, 1200);
  bench.socket.bufferedAmount = 0;
  bench.clock.advance(100);
  assert.deepEqual([total.bytes, bench.droppedAtMs, bench.clock.pending], [0, null, 0]);
});

testPure("canSend() gives no grace while the total is exceeded", () => {
  const total = new BufferedTotal(2000);
  const [a, b] = [new Bench(OPTIONS, total), new Bench(OPTIONS, total)];
  a.send(1800);
  assert(a.send(200));
  assert(!total.isExceeded);
  assert(a.send(1));
  assert(total.isExceeded);
  assert(b.send(1000));
  assert(b.send(1)); // within its limit
  assert(!b.send(1));
  assert.deepEqual([a.droppedAtMs, b.droppedAtMs], [null, 0]);
  b.buffer.release();
  a.buffer.release();
  const c = new Bench(OPTIONS, total);
  c.send(1001);
  assert(c.send(1));
});
