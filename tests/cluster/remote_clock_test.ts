/** What time it is on another machine. */

import assert from "node:assert/strict";
import { RemoteClock } from "../../lib/cluster/remote_clock.ts";
import { FakeClock } from "../helpers/clock.ts";
import { testPure } from "../helpers/pure.ts";

/** A requestId that takes some time there and back; their clock is `aheadMs` ahead of the time of day here. */
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

/** How far `remote` is ahead of the time of day here. */
function aheadOf(clock: FakeClock, remote: RemoteClock): number {
  return remote.now() - START_MS - clock.now();
}

/** A remote clock that has had one good answer. */
function start(aheadMs = 0): { clock: FakeClock; remote: RemoteClock } {
  const clock = new FakeClock();
  const remote = new RemoteClock(clock);
  ask(clock, remote, aheadMs, 0, 0);
  return { clock, remote };
}

testPure("RemoteClock believes at first that the other machine agrees", () => {
  const before = Date.now();
  const remote = new RemoteClock(new FakeClock());
  const now = remote.now();
  assert.ok(now >= before - 1 && now <= Date.now());
});

testPure("RemoteClock goes by an answer that proves the contrary", () => {
  const { clock, remote } = start(-5000);
  assert.equal(aheadOf(clock, remote), -5000);
});

testPure("RemoteClock goes on between answers", () => {
  const { clock, remote } = start(300);
  clock.advance(60_000);
  assert.equal(aheadOf(clock, remote), 300);
});

testPure("RemoteClock does not believe a slow answer where it has had a fast one", () => {
  const { clock, remote } = start();
  ask(clock, remote, 0, 400, 0); // as if they were 200 ms behind, if there and back took the same
  assert.equal(aheadOf(clock, remote), 0);
});

testPure("RemoteClock believes a slow answer that cannot be explained by slowness", () => {
  const { clock, remote } = start();
  ask(clock, remote, 60_000, 100, 100);
  assert.equal(aheadOf(clock, remote), 60_000);
});

testPure("RemoteClock forgets a fast answer with time, as clocks drift", () => {
  const { clock, remote } = start();
  for (let n = 0; n < 10; n++) ask(clock, remote, 5, 5, 5);
  assert.equal(aheadOf(clock, remote), 5);
});
