/** Who is registered where, who hears of it, and where frames go, without any connection. */

import assert from "node:assert/strict";
import type { Registration } from "../../lib/relay/vocabulary.ts";
import { type Client, type Link, Router, type RouterOptions } from "../../lib/relay/router.ts";
import { FakeClock } from "../helpers/clock.ts";
import { RecordedEvents } from "../helpers/events.ts";
import { testPure } from "../helpers/pure.ts";

/** A connection that writes down what it is given, and takes nothing more once it is `full`. */
class FakeLink implements Link {
  readonly address = "192.0.2.1";
  readonly isServed = true;
  readonly frames: string[] = [];
  timesReplaced = 0;
  /** What happens when a frame comes that it cannot take; null where it takes all. */
  whenFull: (() => void) | null = null;

  send(frame: string): boolean {
    if (this.whenFull !== null) {
      this.whenFull();
      return false;
    }
    this.frames.push(frame);
    return true;
  }

  entered(): void {}

  replaced(): void {
    this.timesReplaced++;
  }

  /** The frames since this was last asked. */
  read(): string[] {
    return this.frames.splice(0);
  }
}

const RESUME_TTL_MS = 30_000;
const MAILBOX_TTL_MS = 10_000;

function setUp(options: Partial<RouterOptions> = {}) {
  const clock = new FakeClock();
  const events = new RecordedEvents();
  const all = {
    onDuplicate: "replace",
    mailboxTtlMs: MAILBOX_TTL_MS,
    resumeTtlMs: RESUME_TTL_MS,
    ...options,
  } as const;
  const router = new Router(all, clock, events.emit);

  function tryJoin(clientId: string, more: Partial<Registration> = {}, ownsId = false) {
    const link = new FakeLink();
    const usual = { clientId, room: "", presence: false, resume: false, token: undefined };
    const registered = router.register({ ...usual, ...more }, link, ownsId);
    return registered && { ...registered, link };
  }

  function join(clientId: string, more: Partial<Registration> = {}) {
    const joined = tryJoin(clientId, more);
    assert(joined !== null, `${clientId} was refused`);
    return joined;
  }

  return { clock, events, router, join, tryJoin };
}

function joined(...ids: readonly string[]): string[] {
  return ids.map((id) => `{"type":"peer_joined","client_id":"${id}"}`);
}

function left(...ids: readonly string[]): string[] {
  return ids.map((id) => `{"type":"peer_left","client_id":"${id}"}`);
}

function notFound(id: string): string {
  return `{"type":"error","code":"target_not_found","message":"No client \\"${id}\\" is connected.",` +
    `"target_id":"${id}"}`;
}

// Registrations.

testPure("register() gives an ID, unregister() takes it back", () => {
  const { router, join, events } = setUp();
  const alice = join("alice");
  assert.deepEqual([alice.client.id, alice.client.address], ["alice", "192.0.2.1"]);
  assert.deepEqual([alice.resumed, router.connected], [false, 1]);
  router.unregister(alice.client, alice.link, true);
  assert.equal(router.connected, 0);
  assert.deepEqual(events.lines, ["registered alice", "unregistered alice"]);
  assert.notEqual(join("alice").client, alice.client);
});

testPure("register() with replace gives the ID to the newer connection", () => {
  const { router, join, events } = setUp();
  const older = join("alice");
  const newer = join("alice");
  assert.equal(newer.client, older.client);
  assert.deepEqual([older.link.timesReplaced, router.connected], [1, 1]);
  router.send(newer.client, "alice", "{}");
  assert.deepEqual([older.link.read(), newer.link.read()], [[], ["{}"]]);
  assert.deepEqual(events.lines, ["registered alice", "registered alice"]);
});

testPure("unregister() of a replaced connection does not take the newer one's ID", () => {
  const { router, join } = setUp();
  const older = join("alice");
  const newer = join("alice");
  router.unregister(older.client, older.link, false);
  assert.equal(router.connected, 1);
  assert.equal(router.send(newer.client, "alice", "{}"), "sent");
});

testPure("unregister() said twice is said once", () => {
  const { router, join, events } = setUp();
  const alice = join("alice");
  router.unregister(alice.client, alice.link, false);
  router.unregister(alice.client, alice.link, false);
  assert.equal(router.connected, 0);
  assert.deepEqual(events.lines, ["registered alice", "unregistered alice"]);
});

testPure("unregister() of an old client does not touch a new one of the same ID", () => {
  const { router, join } = setUp();
  const old = join("alice");
  router.unregister(old.client, old.link, false);
  const alice = join("alice");
  router.unregister(old.client, old.link, false);
  assert.equal(router.send(alice.client, "alice", "{}"), "sent");
});

testPure("register() with reject refuses an ID that is connected, and changes nothing", () => {
  const { router, join, tryJoin, events } = setUp({ onDuplicate: "reject" });
  const older = join("alice");
  assert.equal(tryJoin("alice", { presence: true }), null);
  assert.deepEqual([older.link.timesReplaced, older.link.read()], [0, []]);
  assert.equal(router.send(older.client, "alice", "{}"), "sent");
  assert.deepEqual(events.lines, ["registered alice"]);
});

// Messages.

testPure("send() reaches one, broadcast() all others", () => {
  const { router, join } = setUp();
  const [alice, bob, carol] = [join("alice"), join("bob"), join("carol")];
  assert.equal(router.send(alice.client, "bob", "to bob"), "sent");
  assert.equal(router.recipients(alice.client), 2);
  assert.equal(router.broadcast(alice.client, "to all"), 2);
  assert.deepEqual(alice.link.read(), []);
  assert.deepEqual(bob.link.read(), ["to bob", "to all"]);
  assert.deepEqual(carol.link.read(), ["to all"]);
});

testPure("broadcast() counts those who took it, and survives those who leave over it", () => {
  const { router, join } = setUp();
  const alice = join("alice");
  const others = ["a", "b", "c", "d"].map((id) => join(id));
  for (const { client, link } of others.slice(1, 3)) {
    link.whenFull = () => router.unregister(client, link, true);
  }
  assert.equal(router.broadcast(alice.client, "{}"), 2);
  assert.deepEqual(others.map(({ link }) => link.read().length), [1, 0, 0, 1]);
  assert.equal(router.connected, 3);
});

testPure("send() tells that nothing is kept: mailbox off, or an ID that nobody can have", () => {
  const off = setUp({ mailboxTtlMs: 0 });
  assert.equal(off.router.send(off.join("alice").client, "bob", "{}"), "off");
  const { router, join } = setUp();
  const alice = join("alice").client;
  for (const targetId of ["b".repeat(129), "line\nfeed", "\ud800"]) {
    assert.equal(router.send(alice, targetId, "{}"), "off");
  }
  assert.equal(router.kept, 0);
});

// Rooms.

testPure("rooms are namespaces: neither message nor broadcast nor presence crosses", () => {
  const { router, join } = setUp();
  const watcher = join("watcher", { room: "lobby", presence: true });
  const alice = join("alice");
  const lobbyAlice = join("alice", { room: "lobby" });
  assert.equal(alice.link.timesReplaced, 0);
  assert.deepEqual(watcher.link.read(), joined("alice"));
  router.send(alice.client, "alice", "default");
  router.send(lobbyAlice.client, "alice", "lobby");
  assert.deepEqual([alice.link.read(), lobbyAlice.link.read()], [["default"], ["lobby"]]);
  assert.equal(router.broadcast(alice.client, "{}"), 0);
  assert.equal(router.send(alice.client, "watcher", "{}"), "kept");
  router.unregister(alice.client, alice.link, false);
  assert.deepEqual(watcher.link.read(), []);
  assert.deepEqual(router.peersOf(watcher.client), ["alice"]);
});

testPure("a room is forgotten with its last client, also one that is held", () => {
  const { router, clock, join } = setUp();
  const alice = join("alice", { room: "lobby" });
  const bob = join("bob", { room: "lobby", resume: true });
  router.unregister(alice.client, alice.link, true);
  router.unregister(bob.client, bob.link, true);
  assert(router.hasRoom("lobby"));
  clock.advance(RESUME_TTL_MS);
  assert(!router.hasRoom("lobby"));
});

testPure("a kept message waits in its room alone", () => {
  const { router, join } = setUp();
  const alice = join("alice", { room: "lobby" });
  router.send(alice.client, "bob", "for bob in the lobby");
  const [bob, lobbyBob] = [join("bob"), join("bob", { room: "lobby" })];
  router.deliverKept(bob.client);
  router.deliverKept(lobbyBob.client);
  assert.deepEqual([bob.link.read(), lobbyBob.link.read()], [[], ["for bob in the lobby"]]);
});

// Presence.

testPure("those who asked for presence hear who joins and leaves, and nobody else does", () => {
  const { router, join } = setUp();
  const deaf = join("deaf");
  const watcher = join("watcher", { presence: true });
  assert.deepEqual(watcher.link.read(), []);
  const alice = join("alice");
  router.unregister(alice.client, alice.link, true);
  assert.deepEqual(watcher.link.read(), [...joined("alice"), ...left("alice")]);
  assert.deepEqual([deaf.link.read(), alice.link.read()], [[], []]);
});

testPure("a replaced connection is neither a leave nor a join", () => {
  const { router, join } = setUp();
  const watcher = join("watcher", { presence: true });
  const older = join("alice");
  const newer = join("alice");
  router.unregister(older.client, older.link, false);
  assert.deepEqual(watcher.link.read(), joined("alice"));
  router.unregister(newer.client, newer.link, false);
  assert.deepEqual(watcher.link.read(), left("alice"));
});

testPure("presence is asked for anew with each registration", () => {
  const { router, join } = setUp();
  const watcher = join("watcher", { presence: true });
  const newer = join("watcher");
  join("alice");
  assert.deepEqual([watcher.link.read(), newer.link.read()], [[], []]);
  router.setPresence(newer.client, true);
  join("bob");
  assert.deepEqual(newer.link.read(), joined("bob"));
  router.setPresence(newer.client, false);
  join("carol");
  assert.deepEqual(newer.link.read(), []);
});

testPure("peersOf() lists the others of the room, held ones too", () => {
  const { router, join } = setUp();
  const alice = join("alice", { resume: true });
  const bob = join("bob");
  join("carol", { room: "lobby" });
  router.unregister(alice.client, alice.link, true);
  assert.deepEqual(router.peersOf(bob.client), ["alice"]);
});

testPure("any number of watchers may be dropped in one announcement", () => {
  const { router, join } = setUp();
  const watchers = Array.from({ length: 20_000 }, (_, n) => join(`${n}`));
  for (const { client, link } of watchers) {
    router.setPresence(client, true);
    link.whenFull = () => router.unregister(client, link, true);
  }
  const alice = join("alice");
  assert.equal(router.connected, 1);
  assert.equal(router.send(alice.client, "alice", "{}"), "sent");
});

testPure("those who stay hear of everyone who is dropped in an announcement, once", () => {
  const { router, join } = setUp();
  const first = join("first", { presence: true });
  const dropped = ["a", "b", "c"].map((id) => join(id, { presence: true }));
  const last = join("last", { presence: true });
  for (const { client, link } of dropped) {
    link.whenFull = () => router.unregister(client, link, true);
  }
  first.link.read();
  join("alice");
  const expected = [...joined("alice"), ...left("a", "b", "c")];
  assert.deepEqual([first.link.read(), last.link.read()], [expected, expected]);
});

// Held IDs.

testPure(
  "a lost client that asked for a resume is held, and neither leaves nor is replaced",
  () => {
    const { router, clock, join, tryJoin, events } = setUp();
    const watcher = join("watcher", { presence: true });
    const alice = join("alice", { resume: true });
    watcher.link.read();
    router.unregister(alice.client, alice.link, true);
    assert.deepEqual([router.connected, router.held], [1, 1]);
    assert.deepEqual([tryJoin("alice"), tryJoin("alice", { resume: "wrong" })], [null, null]);
    assert.equal(router.broadcast(watcher.client, "{}"), 0);
    assert.equal(router.send(watcher.client, "alice", "{}"), "kept");
    clock.advance(RESUME_TTL_MS - 1);
    assert.equal(router.held, 1);
    assert.deepEqual(watcher.link.read(), [notFound("alice")]);
    clock.advance(1);
    assert.deepEqual([router.connected, router.held], [1, 0]);
    assert.deepEqual(watcher.link.read(), left("alice"));
    assert.deepEqual(events.lines.slice(-1), ["unregistered alice"]);
    assert.equal(join("alice").resumed, false);
  },
);

testPure("register() with the secret takes a held ID back, without a leave or a join", () => {
  const { router, clock, join } = setUp();
  const watcher = join("watcher", { presence: true });
  const before = join("alice", { resume: true, presence: true });
  const { secret } = before.client;
  assert(secret !== null);
  router.unregister(before.client, before.link, true);
  clock.advance(RESUME_TTL_MS - 1);
  const after = join("alice", { resume: secret });
  assert.deepEqual([after.resumed, after.client.secret], [true, secret]);
  assert.deepEqual([router.connected, router.held], [2, 0]);
  clock.advance(10 * RESUME_TTL_MS);
  assert.equal(router.connected, 2);
  assert.deepEqual(watcher.link.read(), joined("alice"));
  assert.deepEqual(after.link.read(), []); // presence was asked for before, not now
});

testPure("register() with the secret takes the ID from a connection that still looks alive", () => {
  for (const onDuplicate of ["replace", "reject"] as const) {
    const { join } = setUp({ onDuplicate });
    const before = join("alice", { resume: true });
    const after = join("alice", { resume: before.client.secret! });
    assert.deepEqual([after.resumed, before.link.timesReplaced], [true, 1]);
  }
});

testPure(
  "register() without the secret gets a resumable ID from nobody, but with its token",
  () => {
    for (const onDuplicate of ["replace", "reject"] as const) {
      const { router, tryJoin, join } = setUp({ onDuplicate });
      const alice = join("alice", { resume: true });
      const { secret } = alice.client;
      for (const resume of [false, true, "", "wrong", `${secret} `]) {
        assert.equal(tryJoin("alice", { resume }), null);
      }
      assert.equal(alice.client.secret, secret);
      const owner = tryJoin("alice", { resume: true }, true);
      assert.deepEqual([owner?.resumed, alice.link.timesReplaced], [false, 1]);
      assert.notEqual(owner?.client.secret, secret);
      assert.equal(tryJoin("alice", { resume: secret! }), null);
      assert.equal(router.connected, 1);
    }
  },
);

testPure("unregister() of a client that may not return gives the ID up at once", () => {
  const { router, join } = setUp();
  const alice = join("alice", { resume: true });
  router.unregister(alice.client, alice.link, false);
  assert.equal(router.held, 0);
  assert.equal(join("alice").resumed, false);
});

testPure("with the resume time 0 nobody gets a secret, and nothing is held", () => {
  const { router, join } = setUp({ resumeTtlMs: 0 });
  const alice = join("alice", { resume: true });
  assert.equal(alice.client.secret, null);
  router.unregister(alice.client, alice.link, true);
  assert.equal(router.held, 0);
});

testPure("a client that is lost again is held for the whole time again", () => {
  const { router, clock, join } = setUp();
  let { client, link } = join("alice", { resume: true });
  for (let round = 0; round < 3; round++) {
    router.unregister(client, link, true);
    clock.advance(RESUME_TTL_MS - 1);
    ({ client, link } = join("alice", { resume: client.secret! }));
  }
  assert.equal(router.connected, 1);
});

// Kept messages.

function keep(router: Router, from: Client, targetId: string, frames: readonly string[]) {
  for (const frame of frames) assert.equal(router.send(from, targetId, frame), "kept");
}

testPure("deliverKept() sends what was kept, in order and once", () => {
  const { router, clock, join } = setUp();
  const alice = join("alice");
  keep(router, alice.client, "bob", ["1", "2", "3"]);
  const bob = join("bob");
  router.deliverKept(bob.client);
  router.deliverKept(bob.client);
  assert.deepEqual(bob.link.read(), ["1", "2", "3"]);
  clock.advance(10 * MAILBOX_TTL_MS);
  assert.deepEqual([alice.link.read(), router.kept], [[], 0]);
});

testPure("a message for which nobody comes is reported to its sender when its time is up", () => {
  const { router, clock, join, events } = setUp();
  const alice = join("alice");
  keep(router, alice.client, "bob", ["1"]);
  clock.advance(4000);
  keep(router, alice.client, "bob", ["2"]);
  clock.advance(MAILBOX_TTL_MS - 4001);
  assert.deepEqual(alice.link.read(), []);
  clock.advance(1);
  assert.deepEqual(alice.link.read(), [notFound("bob")]);
  const bob = join("bob");
  router.deliverKept(bob.client);
  assert.deepEqual(bob.link.read(), ["2"]);
  assert.deepEqual(events.lines.filter((line) => line.startsWith("error_sent")), [
    "error_sent target_not_found",
  ]);
});

testPure("a kept message that its target cannot take is reported to its sender", () => {
  const { router, join } = setUp();
  const alice = join("alice");
  keep(router, alice.client, "bob", ["1"]);
  const bob = join("bob");
  bob.link.whenFull = () => router.unregister(bob.client, bob.link, true);
  router.deliverKept(bob.client);
  assert.deepEqual([alice.link.read(), router.kept], [[notFound("bob")], 0]);
});

testPure("a message to one who is dropped over it is kept for his return", () => {
  const { router, join } = setUp();
  const alice = join("alice");
  const bob = join("bob", { resume: true });
  bob.link.whenFull = () => router.unregister(bob.client, bob.link, true);
  keep(router, alice.client, "bob", ["1"]);
  const back = join("bob", { resume: bob.client.secret! });
  router.deliverKept(back.client);
  assert.deepEqual(back.link.read(), ["1"]);
});

testPure("a report to a sender who is held waits for his return", () => {
  const { router, clock, events, join } = setUp();
  const alice = join("alice", { resume: true });
  keep(router, alice.client, "bob", ["1"]);
  router.unregister(alice.client, alice.link, true);
  clock.advance(MAILBOX_TTL_MS);
  const back = join("alice", { resume: alice.client.secret! });
  router.deliverKept(back.client);
  assert.deepEqual(back.link.read(), [notFound("bob")]);
  assert(!events.lines.includes("stored_delivered alice"), "it is no message that was delivered");
});

testPure("a report waits as long as its sender is held, and for nobody else", () => {
  const { router, clock, join } = setUp();
  const alice = join("alice", { resume: true });
  keep(router, alice.client, "bob", ["1", "2"]);
  router.unregister(alice.client, alice.link, true);
  clock.advance(RESUME_TTL_MS - 1);
  const back = join("alice", { resume: alice.client.secret! });
  router.deliverKept(back.client);
  assert.deepEqual(back.link.read(), [notFound("bob"), notFound("bob")]);
  keep(router, back.client, "bob", ["3"]);
  clock.advance(MAILBOX_TTL_MS / 2); // so that its report is kept when the ID is given up
  router.unregister(back.client, back.link, true);
  clock.advance(RESUME_TTL_MS);
  const next = join("alice");
  router.deliverKept(next.client);
  assert.deepEqual(next.link.read(), []);
  clock.advance(MAILBOX_TTL_MS);
  assert.deepEqual([router.kept, clock.pending], [0, 0]);
});

testPure(
  "reports of all that a held sender had kept wait, even where more is not kept for one",
  () => {
    const { router, clock, join } = setUp();
    const alice = join("alice", { resume: true });
    for (let n = 0; n < 100; n++) keep(router, alice.client, `target ${n}`, ["1"]);
    router.unregister(alice.client, alice.link, true);
    clock.advance(MAILBOX_TTL_MS);
    const back = join("alice", { resume: alice.client.secret! });
    router.deliverKept(back.client);
    assert.deepEqual(
      back.link.read(),
      Array.from({ length: 100 }, (_, n) => notFound(`target ${n}`)),
    );
  },
);

testPure(
  "a report to a sender who has left goes to nobody, also not to the next of that ID",
  () => {
    const { router, clock, join } = setUp();
    const alice = join("alice");
    keep(router, alice.client, "bob", ["1"]);
    router.unregister(alice.client, alice.link, false);
    const next = join("alice");
    clock.advance(MAILBOX_TTL_MS);
    assert.deepEqual([next.link.read(), router.kept], [[], 0]);
  },
);
