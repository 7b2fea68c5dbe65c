/** The estimated time of another machine. */

import assert from "node:assert/strict";
import { RemoteClock } from "../../lib/cluster/remote_clock.ts";
import { FakeClock } from "../helpers/clock.ts";
import { testPure } from "../helpers/pure.ts";

/** Sends a request that takes some time there and back; the other clock is `aheadMs` ahead of ours. */
function ask(
  clock: FakeClock,
  remote: RemoteClock,
  aheadMs: number,
  thereMs: number,
  backMs: number,
) {
  const askedAtMs = clock.now();
  clock.advance(thereMs);
  const theirs = START_MS + clock.now() + aheadMs;
  clock.advance(backMs);
  remote.note(theirs, askedAtMs);
}

const START_MS = 1.7e12;

/** Returns by how much `remote` is ahead of our clock. */
function aheadOf(clock: FakeClock, remote: RemoteClock): number {
  return remote.now() - START_MS - clock.now();
}

/** Creates a remote clock that has had one exact answer. */
function start(aheadMs = 0): { clock: FakeClock; remote: RemoteClock } {
  const clock = new FakeClock();
  const remote = new RemoteClock(clock);
  ask(clock, remote, aheadMs, 0, 0);
  return { clock, remote };
}

testPure("RemoteClock assumes the same time at first", () => {
  const before = Date.now();
  const remote = new RemoteClock(new FakeClock());
  const now = remote.now();
  assert.ok(now >= before - 1 && now <= Date.now());
});

testPure("RemoteClock follows an answer that proves a difference", () => {
  const { clock, remote } = start(-5000);
  assert.equal(aheadOf(clock, remote), -5000);
});

testPure("RemoteClock advances between answers", () => {
  const { clock, remote } = start(300);
  clock.advance(60_000);
  assert.equal(aheadOf(clock, remote), 300);
});

testPure("RemoteClock ignores a slow answer after a fast one", () => {
  const { clock, remote } = start();
  ask(clock, remote, 0, 400, 0); // 200 ms behind, if there and back took the same time
  assert.equal(aheadOf(clock, remote), 0);
});

testPure("RemoteClock follows a slow answer if its delay cannot explain the difference", () => {
  const { clock, remote } = start();
  ask(clock, remote, 60_000, 100, 100);
  assert.equal(aheadOf(clock, remote), 60_000);
});

testPure("RemoteClock replaces a fast answer in time, because clocks drift", () => {
  const { clock, remote } = start();
  for (let n = 0; n < 10; n++) ask(clock, remote, 5, 5, 5);
  assert.equal(aheadOf(clock, remote), 5);
});
