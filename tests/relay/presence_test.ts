/** Presence notices: their receivers, their order, and their number in one turn. */

import assert from "node:assert/strict";
import { Presence } from "../../lib/relay/presence.ts";
import { Room, Session, type SessionConnection } from "../../lib/relay/session.ts";
import type { Notice } from "../../lib/relay/vocabulary.ts";
import { FakeClock } from "../helpers/clock.ts";
import { testPure } from "../helpers/pure.ts";

const ROOM = new Room("hall");
const HALL = ROOM.name;
const NOTICES_PER_TURN = 500;
const BATCH_INTERVAL_MS = 100;

/** A watcher that records its notices: `+bob`, `-bob`, or `-bob+carol` for a batch. */
class Watcher implements SessionConnection {
  readonly address = "192.0.2.1";
  readonly dialect = null;
  readonly isOpen = true;
  readonly notices: string[] = [];
  readonly session: Session;
  /** Called in place of the next notice, which it refuses; null if it accepts all. */
  whenFull: (() => void) | null = null;

  constructor(id: string) {
    this.session = new Session(id, ROOM);
    this.session.connection = this;
  }

  notify(notice: Notice): boolean {
    if (this.whenFull !== null) {
      this.whenFull();
      return false;
    }
    this.notices.push(inShort(notice));
    return true;
  }

  attached(): void {}

  send(): boolean {
    return true;
  }

  replaced(): void {}
}

function inShort(notice: Notice): string {
  switch (notice.kind) {
    case "peer_joined":
      return `+${notice.clientId}`;
    case "peer_left":
      return `-${notice.clientId}`;
    case "peers_changed":
      return [...notice.left.map((id) => `-${id}`), ...notice.joined.map((id) => `+${id}`)].join(
        "",
      );
    default:
      return notice.kind;
  }
}

function setUp(count: number, isBatched = false) {
  const clock = new FakeClock();
  const presence = new Presence(clock);
  const watch = (id: string, isBatched = false) => {
    const watcher = new Watcher(id);
    presence.watch(watcher.session, isBatched);
    return watcher;
  };
  const watchers = Array.from({ length: count }, (_, n) => watch(`watcher ${n}`, isBatched));
  const total = () => watchers.reduce((sum, { notices }) => sum + notices.length, 0);
  const join = (...ids: string[]) => ids.forEach((id) => presence.announce(HALL, "joined", id));
  const leave = (...ids: string[]) => ids.forEach((id) => presence.announce(HALL, "left", id));
  /** Lets a watcher disconnect at its next notice. */
  const fill = (watcher: Watcher) => {
    watcher.whenFull = () => {
      watcher.session.connection = null;
      presence.unwatch(watcher.session);
      leave(watcher.session.id);
    };
  };
  return { clock, presence, watchers, watch, total, join, leave, fill };
}

// One notice for each change.

testPure("announce() notifies at once of each join and leave", () => {
  const { presence, watchers: [alice], join, leave } = setUp(1);
  join("bob");
  presence.announce("another room", "joined", "carol");
  leave("bob");
  join("watcher 0");
  assert.deepEqual(alice?.notices, ["+bob", "-bob"]);
});

testPure("announce() sends 500 notices at once, and continues in the next turn", () => {
  const { clock, watchers, total, join } = setUp(300);
  join("a", "b", "c", "d");
  assert.equal(total(), NOTICES_PER_TURN);
  clock.after(0, () => assert.equal(total(), 2 * NOTICES_PER_TURN));
  clock.advance(0);
  assert.equal(total(), 4 * 300);
  for (const { notices } of watchers) assert.deepEqual(notices, ["+a", "+b", "+c", "+d"]);
  assert.equal(clock.pending, 0);
});

/** Uses up the notices of this turn with the first change, so later ones are pending. */
function setUpBusy() {
  const all = setUp(501);
  all.join("first");
  const last = all.watchers.at(-1)!;
  assert.deepEqual(last.notices, []);
  return { ...all, last };
}

testPure("a room with many pending notices does not delay other rooms", () => {
  const { clock, presence, join, total } = setUp(5000);
  const small = new Watcher("small");
  const other = new Session("small", new Room("other"));
  other.connection = small;
  presence.watch(other, false);
  join("a", "b");
  presence.announce("other", "joined", "bob");
  let turns = 0;
  for (; small.notices.length === 0; turns++) {
    clock.after(0, () => {});
    clock.advance(0);
    assert(turns < 2);
  }
  assert.equal(total(), 2 * 5000);
});

testPure("watch() notifies of no change before it", () => {
  const { clock, watch, join } = setUpBusy();
  join("second");
  const late = watch("late");
  clock.advance(0);
  assert.deepEqual(late.notices, []);
});

testPure("a join and a leave before delivery cancel out", () => {
  const { clock, watch, last, join, leave } = setUpBusy();
  join("second");
  const informed = watch("informed"); // it has got a list with the second one
  leave("second");
  const late = watch("late");
  clock.advance(0);
  assert.deepEqual(last.notices, ["+first"]);
  assert.deepEqual([informed.notices, late.notices], [["-second"], []]);
});

testPure("a join and a leave while the turn is used up cost no notice", () => {
  const { clock, total, join, leave } = setUp(250);
  join("first", "second", "third");
  leave("third");
  clock.advance(0);
  assert.equal(total(), 2 * 250);
});

testPure("a leave and a join before delivery are both delivered, the leave first", () => {
  const { clock, watchers, total, join, leave } = setUpBusy();
  leave("first");
  join("first");
  assert.equal(total(), NOTICES_PER_TURN);
  clock.advance(0);
  for (const { notices } of watchers.slice(0, 500)) {
    assert.deepEqual(notices, ["+first", "-first", "+first"]);
  }
  assert.deepEqual(watchers[500]!.notices.slice(-1), ["+first"]);
});

testPure("flushBefore() announces the sender of a broadcast once to each watcher", () => {
  const { clock, presence, watchers, last, total, join } = setUpBusy();
  join("second", "third");
  presence.flushBefore(HALL, "third");
  presence.flushBefore(HALL, "unknown");
  assert.deepEqual([watchers[1]?.notices, last.notices], [["+first", "+third"], ["+third"]]);
  presence.flushBefore(HALL, "third");
  assert.equal(total(), NOTICES_PER_TURN + 501);
  clock.advance(BATCH_INTERVAL_MS);
  for (const { notices } of watchers) {
    assert.deepEqual([...notices].sort(), ["+first", "+second", "+third"]);
  }
  assert.equal(clock.pending, 0);
});

testPure("flushBefore() announces the sender of a direct message to its receiver alone", () => {
  const { clock, presence, watchers, last, join, watch } = setUpBusy();
  join("second");
  const late = watch("late");
  for (const { session } of [last, late]) presence.flushBefore(HALL, "second", session);
  presence.flushBefore(HALL, "second", new Session("no watcher", ROOM));
  assert.deepEqual(last.notices, ["+first", "+second"]);
  assert.deepEqual([watchers[1]?.notices, late.notices], [["+first"], []]);
  clock.advance(0);
  for (const { notices } of watchers) assert.deepEqual(notices, ["+first", "+second"]);
});

testPure("flushBefore() announces a sender that has left and joined again", () => {
  const { clock, presence, watchers: [first], last, join, leave } = setUpBusy();
  leave("first");
  join("first");
  presence.flushBefore(HALL, "first");
  assert.deepEqual(first?.notices, ["+first", "-first", "+first"]);
  assert.deepEqual(last.notices, ["+first"]);
  leave("first");
  clock.advance(0);
  assert.deepEqual(last.notices, ["+first", "-first"]);
});

testPure("clients of a room that all disconnect at once cost few notices", () => {
  const { clock, presence, watchers, total, leave } = setUp(1000);
  for (const { session } of watchers) {
    presence.unwatch(session);
    leave(session.id);
  }
  clock.advance(BATCH_INTERVAL_MS);
  assert.deepEqual([total(), clock.pending], [NOTICES_PER_TURN, 0]);
});

testPure("past 10,000 pending changes a watcher gets all of its own, but no two in a turn", () => {
  const { clock, watchers: [first], last, total, join } = setUpBusy();
  for (let n = 1; n < 10_001; n++) join(`member ${n}`);
  assert.deepEqual([first?.notices, last.notices], [["+first"], []]);
  let before = total();
  let most = 0;
  const measure = () => {
    most = Math.max(most, total() - before);
    before = total();
    if (clock.pending > 0) clock.after(0, measure);
  };
  clock.after(0, measure);
  clock.advance(0);
  assert.deepEqual([first?.notices.length, last.notices.length, most], [10_001, 10_001, 10_001]);
  assert.equal(clock.pending, 0);
});

testPure("every watcher is notified of something, however many changes come", () => {
  const { clock, watchers, join } = setUp(600);
  let changes = 0;
  const change = () => {
    join(`one ${changes}`, `another ${changes}`);
    if (++changes < 10) clock.after(0, change);
    else assert(watchers.every(({ notices }) => notices.length > 0));
  };
  change();
  clock.advance(0);
  assert.equal(changes, 10);
});

testPure("past 10,000 pending changes net effects take turns, also without a notice", () => {
  const { clock, watch, join, leave } = setUpBusy();
  let turns = 0;
  for (let n = 0; n < 40; n++) {
    watch(`late ${n}`);
    for (let m = 0; m < 200; m++) { // these cancel out
      join(`${m}`);
      leave(`${m}`);
    }
  }
  const count = () => {
    turns++;
    if (clock.pending > 0) clock.after(0, count);
  };
  clock.after(0, count);
  clock.advance(0);
  assert(turns > 10, `${turns}`);
});

testPure("a watcher that is dropped over a notice is announced to the others", () => {
  const { clock, watchers: [alice, bob, carol], join, fill } = setUp(3);
  fill(bob!);
  join("dave");
  clock.advance(BATCH_INTERVAL_MS);
  for (const { notices } of [alice!, carol!]) assert.deepEqual(notices, ["+dave", "-watcher 1"]);
  assert.equal(clock.pending, 0);
});

for (const isBatched of [false, true]) {
  const kind = isBatched ? "batched" : "single";
  testPure(`one broadcast may drop any number of watchers: ${kind}`, () => {
    const { clock, presence, watchers, join, fill } = setUp(20_000, isBatched);
    join("one", "two");
    const [first, ...others] = watchers;
    others.forEach(fill);
    presence.flushBefore(HALL, "two");
    clock.advance(BATCH_INTERVAL_MS);
    assert.equal(first!.notices.join("").split(/[+-]/).length - 1, 2 + others.length);
    assert.equal(clock.pending, 0);
  });
}

testPure("stop() ends all notifications", () => {
  const { clock, presence, last, join } = setUpBusy();
  const batched = new Watcher("batched");
  presence.watch(batched.session, true);
  join("second");
  presence.stop();
  assert.equal(clock.pending, 0);
  clock.advance(1000);
  join("third");
  assert.deepEqual([last.notices, batched.notices, clock.pending], [[], [], 0]);
});

// Batches.

testPure("a batch has the net effect of 100 ms: left, joined, both, or nothing", () => {
  const { clock, watchers: [alice], join, leave } = setUp(1, true);
  join("bob");
  clock.advance(BATCH_INTERVAL_MS);
  leave("bob");
  join("carol");
  leave("carol");
  leave("dave");
  join("dave");
  join("erin");
  clock.advance(BATCH_INTERVAL_MS - 1);
  assert.deepEqual(alice?.notices, ["+bob"]);
  clock.advance(1);
  assert.deepEqual(alice?.notices, ["+bob", "-bob-dave+dave+erin"]);
  join("frank");
  leave("frank");
  clock.advance(BATCH_INTERVAL_MS);
  assert.deepEqual([alice?.notices.length, clock.pending], [2, 0]);
});

testPure("a batch always has both members, and never the watcher's own ID", () => {
  const { clock, presence, join, leave } = setUp(0);
  const alice = new Watcher("alice");
  const notices: Notice[] = [];
  alice.notify = (notice) => notices.push(notice) > 0;
  presence.watch(alice.session, true);
  join("alice", "bob");
  clock.advance(BATCH_INTERVAL_MS);
  leave("alice", "bob");
  join("alice");
  clock.advance(BATCH_INTERVAL_MS);
  leave("alice");
  join("alice");
  clock.advance(BATCH_INTERVAL_MS);
  assert.deepEqual(notices, [
    { kind: "peers_changed", left: [], joined: ["bob"] },
    { kind: "peers_changed", left: ["bob"], joined: [] },
  ]);
});

testPure("a batched watcher gets at most one notice each 100 ms", () => {
  const { clock, watchers: [alice], join } = setUp(1, true);
  const sentAtMs: number[] = [];
  const { notices } = alice!;
  for (let n = 0; n < 1000; n++) {
    join(`member ${n}`);
    const before = notices.length;
    clock.advance(1);
    if (notices.length > before) sentAtMs.push(clock.now());
  }
  assert.deepEqual(sentAtMs, [100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]);
  clock.advance(BATCH_INTERVAL_MS);
  assert.equal(notices.join("").split("+").length - 1, 1000);
});

testPure("flushBefore() delivers a pending batch before a message of a newcomer", () => {
  for (const isBroadcast of [true, false]) {
    const { clock, presence, watchers, join } = setUp(2, true);
    const [alice, bob] = watchers;
    join("carol", "dave");
    presence.flushBefore(HALL, "unknown", alice!.session);
    assert.deepEqual(alice!.notices, []);
    presence.flushBefore(HALL, "carol", isBroadcast ? undefined : alice!.session);
    assert.deepEqual([alice!.notices, bob!.notices], [
      ["+carol+dave"],
      isBroadcast ? ["+carol+dave"] : [],
    ]);
    clock.advance(BATCH_INTERVAL_MS);
    for (const { notices } of watchers) assert.deepEqual(notices, ["+carol+dave"]);
    assert.equal(clock.pending, 0);
  }
});

testPure("a batched watcher that a notice drops is announced to the others", () => {
  const { clock, watchers: [alice, bob, carol], join, fill } = setUp(3, true);
  fill(bob!);
  join("dave");
  clock.advance(2 * BATCH_INTERVAL_MS);
  for (const { notices } of [alice!, carol!]) assert.deepEqual(notices, ["+dave", "-watcher 1"]);
  assert.equal(clock.pending, 0);
});

testPure("single and batched watchers of a room each get their own notices", () => {
  const { clock, watch, join, leave } = setUp(0);
  const [single, batched] = [watch("single"), watch("batched", true)];
  join("a", "b");
  leave("a");
  assert.deepEqual([single.notices, batched.notices], [["+a", "+b", "-a"], []]);
  clock.advance(BATCH_INTERVAL_MS);
  assert.deepEqual([single.notices.length, batched.notices], [3, ["+b"]]);
  assert.equal(clock.pending, 0);
});

testPure("2,000 batched members that join at once get one notice each", () => {
  const { clock, watch, join } = setUp(0);
  const watchers = Array.from({ length: 2000 }, (_, n) => {
    const watcher = watch(`${n}`, true);
    join(`${n}`);
    return watcher;
  });
  clock.advance(BATCH_INTERVAL_MS);
  const counts = watchers.map(({ notices }) => notices.length);
  assert.equal(Math.max(...counts), 1);
  assert.equal(watchers[0]!.notices[0]!.split("+").length - 1, 1999);
  assert.deepEqual([watchers[1999]!.notices, clock.pending], [[], 0]);
});
