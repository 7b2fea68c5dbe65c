/** Who is told of whom, and how much is said at once. */

import assert from "node:assert/strict";
import { Presence, type Watcher } from "../lib/presence.ts";
import { FakeClock } from "./helpers/clock.ts";
import { testPure } from "./helpers/pure.ts";

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

testPure("Presence tells at once of who comes, and soon of who goes", () => {
  const { clock, presence, listeners: [alice] } = setUp(1);
  presence.joined(ROOM, "bob");
  presence.joined("another room", "carol");
  presence.left(ROOM, "bob");
  presence.joined(ROOM, "dave");
  assert.deepEqual(alice?.heard, ["+bob", "+dave"]);
  clock.advance(0);
  assert.deepEqual(alice.heard, ["+bob", "+dave", "-bob"]);
  assert.equal(clock.pending, 0);
});

testPure("Presence tells that one has gone before the same one comes again", () => {
  const { clock, presence, listeners: [alice] } = setUp(1);
  presence.left(ROOM, "bob");
  presence.left(ROOM, "carol");
  presence.joined(ROOM, "bob");
  assert.deepEqual(alice?.heard, ["-bob", "+bob"]);
  clock.advance(0);
  assert.deepEqual(alice.heard, ["-bob", "+bob", "-carol"]);
});

testPure("Presence tells nobody of what was before they watched", () => {
  const { clock, presence } = setUp(1);
  presence.left(ROOM, "bob");
  const late = new Listener("late");
  presence.watch(late);
  clock.advance(0);
  assert.deepEqual(late.heard, []);
});

testPure("Presence sends nothing in a room of which all are cut off at once", () => {
  const { clock, presence, listeners, heard } = setUp(1000);
  for (const listener of listeners) {
    presence.unwatch(listener);
    presence.left(ROOM, listener.id);
  }
  clock.advance(0);
  assert.deepEqual([heard(), clock.pending], [0, 0]);
});

testPure("Presence gives way between the leaves of many", () => {
  const { clock, presence, listeners, heard } = setUp(300);
  for (const id of ["a", "b", "c", "d"]) presence.left(ROOM, id);
  clock.after(0, () => {
    for (const listener of listeners) presence.unwatch(listener);
  });
  clock.advance(0);
  assert.equal(heard(), 2 * 300);
});

testPure("Presence says nothing more once it is stopped", () => {
  const { clock, presence, heard } = setUp(1);
  presence.left(ROOM, "bob");
  presence.stop();
  assert.equal(clock.pending, 0);
  clock.advance(0);
  assert.equal(heard(), 0);
});
