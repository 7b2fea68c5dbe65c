/** Who is told of whom, and how much is said at once. */

import assert from "node:assert/strict";
import { Presence, type Watcher } from "../../lib/relay/presence.ts";
import { FakeClock } from "../helpers/clock.ts";
import { testPure } from "../helpers/pure.ts";

const ROOM = "hall";

/** A watcher that writes down what it hears: `+bob`, `-bob`. */
class Listener implements Watcher {
  readonly roomName: string = ROOM;
  readonly heard: string[] = [];
  readonly link = {
    send: (frame: string) => {
      const { type, client_id: id } = JSON.parse(frame);
      this.heard.push(`${type === "peer_joined" ? "+" : "-"}${id}`);
      return true;
    },
  };

  constructor(readonly id: string) {}
}

function setUp(watchers: number) {
  const clock = new FakeClock();
  const presence = new Presence(clock);
  const listeners = Array.from({ length: watchers }, (_, n) => new Listener(`listener ${n}`));
  for (const listener of listeners) presence.watch(listener);
  const heard = () => listeners.reduce((sum, listener) => sum + listener.heard.length, 0);
  return { clock, presence, listeners, heard };
}

testPure("Presence tells at once of who comes and who goes", () => {
  const { presence, listeners: [alice] } = setUp(1);
  presence.joined(ROOM, "bob");
  presence.joined("another room", "carol");
  presence.left(ROOM, "bob");
  presence.joined(ROOM, "listener 0");
  assert.deepEqual(alice?.heard, ["+bob", "-bob"]);
});

testPure("Presence tells of 500 at once, and then gives way", () => {
  const { clock, presence, listeners, heard } = setUp(300);
  for (const id of ["a", "b", "c", "d"]) presence.joined(ROOM, id);
  assert.equal(heard(), 500);
  clock.after(0, () => assert.equal(heard(), 1000));
  clock.advance(0);
  assert.equal(heard(), 4 * 300);
  for (const listener of listeners) assert.deepEqual(listener.heard, ["+a", "+b", "+c", "+d"]);
  assert.equal(clock.pending, 0);
});

/** Lets the first change take all that may be sent at once: what follows waits. */
function setUpBusy() {
  const all = setUp(501);
  all.presence.joined(ROOM, "first");
  const last = all.listeners.at(-1)!;
  assert.deepEqual(last.heard, []);
  return { ...all, last };
}

testPure("Presence tells nobody of what was before they watched", () => {
  const { clock, presence } = setUpBusy();
  presence.joined(ROOM, "second");
  const late = new Listener("late");
  presence.watch(late);
  clock.advance(0);
  assert.deepEqual(late.heard, []);
});

testPure("Presence tells nobody that somebody came and went whose coming was not told", () => {
  const { clock, presence, last } = setUpBusy();
  presence.joined(ROOM, "second");
  const informed = new Listener("informed"); // has got a list in which the second one is
  presence.watch(informed);
  presence.left(ROOM, "second");
  const late = new Listener("late");
  presence.watch(late);
  clock.advance(0);
  assert.deepEqual(last.heard, ["+first"]);
  assert.deepEqual([informed.heard, late.heard], [["-second"], []]);
});

testPure("Presence tells nothing of one who came and went when no more could be said", () => {
  const { clock, presence, heard } = setUp(250);
  for (const id of ["first", "second", "third"]) presence.joined(ROOM, id);
  presence.left(ROOM, "third");
  clock.advance(0);
  assert.equal(heard(), 2 * 250);
});

testPure("Presence tells of one who goes and comes back in order, and gives way", () => {
  const { clock, presence, listeners, heard } = setUpBusy();
  presence.left(ROOM, "first");
  presence.joined(ROOM, "first");
  assert.equal(heard(), 500);
  clock.advance(0);
  for (const { heard } of listeners) assert.deepEqual(heard, ["+first", "-first", "+first"]);
});

testPure("Presence tells that somebody has come before they are heard", () => {
  const { presence, listeners: [, second], last } = setUpBusy();
  presence.joined(ROOM, "second");
  presence.settle(ROOM, "second");
  presence.settle(ROOM, "nobody");
  assert.deepEqual([second?.heard, last.heard], [["+first", "+second"], ["+second"]]);
});

testPure("Presence tells that somebody has gone and come back before they are heard", () => {
  const { presence, listeners: [first], last } = setUpBusy();
  presence.left(ROOM, "first");
  presence.joined(ROOM, "first");
  presence.settle(ROOM, "first");
  assert.deepEqual([first?.heard, last.heard], [["+first", "-first", "+first"], [
    "+first",
    "-first",
    "+first",
  ]]);
});

testPure("Presence sends little in a room of which all are cut off at once", () => {
  const { clock, presence, listeners, heard } = setUp(1000);
  for (const listener of listeners) {
    presence.unwatch(listener);
    presence.left(ROOM, listener.id);
  }
  clock.advance(0);
  assert.deepEqual([heard(), clock.pending], [500, 0]);
});

testPure("Presence lets no more than 10,000 changes wait", () => {
  const { clock, presence, listeners: [first], last } = setUpBusy();
  for (let n = 0; n < 10_000; n++) presence.joined(ROOM, `member ${n}`);
  assert.deepEqual([first?.heard, last.heard], [["+first"], ["+first"]]);
  presence.joined(ROOM, "one more");
  assert.deepEqual([first?.heard, last.heard], [["+first", "+member 0"], ["+first", "+member 0"]]);
  presence.stop();
  assert.equal(clock.pending, 0);
});

testPure("Presence goes on when telling drops somebody", () => {
  const { clock, presence, listeners: [alice, bob, carol] } = setUp(3);
  bob!.link.send = () => {
    presence.unwatch(bob!);
    presence.left(ROOM, bob!.id);
    return false;
  };
  presence.joined(ROOM, "dave");
  clock.advance(0);
  for (const { heard } of [alice!, carol!]) assert.deepEqual(heard, ["+dave", "-listener 1"]);
});

testPure("Presence goes on when telling drops very many, also where it is told all at once", () => {
  const { clock, presence, listeners: [first, ...others] } = setUp(20_000);
  presence.joined(ROOM, "first one");
  presence.joined(ROOM, "second one");
  for (const other of others) {
    other.link.send = () => {
      presence.unwatch(other);
      presence.left(ROOM, other.id);
      return false;
    };
  }
  presence.settle(ROOM, "second one");
  clock.advance(0);
  assert.equal(first?.heard.length, 2 + others.length);
});

testPure("Presence says nothing more once it is stopped", () => {
  const { clock, presence, last } = setUpBusy();
  presence.stop();
  assert.equal(clock.pending, 0);
  clock.advance(0);
  assert.deepEqual(last.heard, []);
});
