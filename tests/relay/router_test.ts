/** Registrations, messages and notices of the router, with fake connections. */

import assert from "node:assert/strict";
import { signalbox } from "../../lib/dialects/signalbox.ts";
import { Capacity, type CapacityOptions } from "../../lib/relay/capacity.ts";
import { type Claim, type DirectoryOptions, LocalDirectory } from "../../lib/relay/directory.ts";
import { Router } from "../../lib/relay/router.ts";
import type { Session, SessionConnection } from "../../lib/relay/session.ts";
import { type Notice, ProtocolError, type Registration } from "../../lib/relay/vocabulary.ts";
import { FakeClock } from "../helpers/clock.ts";
import { RecordedEvents } from "../helpers/events.ts";
import { testPure } from "../helpers/pure.ts";

/** A connection that records its texts, and refuses them once it is full. */
class FakeConnection implements SessionConnection {
  readonly address = "192.0.2.1";
  readonly dialect = null;
  readonly isOpen = true;
  readonly texts: string[] = [];
  timesReplaced = 0;
  /** Called for each text that it refuses; null if it accepts all. */
  whenFull: (() => void) | null = null;

  send(text: string): boolean {
    if (this.whenFull !== null) {
      this.whenFull();
      return false;
    }
    this.texts.push(text);
    return true;
  }

  notify(notice: Notice): boolean {
    return this.send(signalbox.encode(notice, "")!);
  }

  attached(): void {}

  replaced(): void {
    this.timesReplaced++;
  }

  /** Returns the texts since the last call. */
  read(): string[] {
    return this.texts.splice(0);
  }
}

const RESUME_TTL_MS = 30_000;
const MAILBOX_TTL_MS = 10_000;

function setUp(options: Partial<DirectoryOptions & CapacityOptions> = {}) {
  const clock = new FakeClock();
  const events = new RecordedEvents();
  const all = {
    onDuplicate: "replace",
    mailboxTtlMs: MAILBOX_TTL_MS,
    resumeTtlMs: RESUME_TTL_MS,
    maxConnections: 0,
    maxConnectionsPerIp: 0,
    ...options,
  } as const;
  const router = new Router(
    all,
    new Capacity(all),
    clock,
    events.emit,
    (router) => new LocalDirectory(all, router, clock, events.emit),
  );

  function join(clientId: string, more: Partial<Registration> = {}, ownsId = false) {
    const connection = new FakeConnection();
    const usual = { clientId, room: "", presence: false, resume: false, token: undefined };
    const registration = { ...usual, ...more };
    let joined: { readonly session: Session; readonly claim: Claim } | null = null;
    router.directory.claim(registration, ownsId, (claim) => {
      const session = router.attach(registration, connection, claim);
      joined = { session, claim };
      return { session, notifyRegistered() {} };
    });
    const { session, claim } = joined!;
    const { resumed, secret } = claim;
    const end = (mayResume: boolean) => router.detach(session, connection, mayResume, null);
    /** Lets the connection end at the next text. */
    const fill = () => connection.whenFull = () => end(true);
    return { session, connection, resumed, secret, end, fill };
  }

  /** Returns the error code of a refused registration; null if it succeeds. */
  function refusal(clientId: string, more: Partial<Registration> = {}, ownsId = false) {
    try {
      join(clientId, more, ownsId);
      return null;
    } catch (error) {
      assert(error instanceof ProtocolError);
      return error.code;
    }
  }

  /** Sends a text, and returns the result. */
  function send(from: Session, targetId: string, text: string): "sent" | "stored" | "refused" {
    if (router.deliver(from, targetId, text)) return "sent";
    const { directory } = router;
    const { stored } = directory;
    directory.forward(from, targetId, messageOf(text));
    return directory.stored > stored ? "stored" : "refused";
  }

  return { clock, events, router, join, refusal, send };
}

function messageOf(text: string) {
  return { type: undefined, bytes: text.length, text, receivedAtMs: 0 };
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

testPure("attach() registers an ID, and detach() releases it", () => {
  const { router, join, events } = setUp();
  const alice = join("alice");
  assert.deepEqual([alice.session.id, alice.session.address], ["alice", "192.0.2.1"]);
  assert.deepEqual([alice.resumed, router.connected], [false, 1]);
  alice.end(true);
  assert.equal(router.connected, 0);
  assert.deepEqual(events.lines, ["registered alice", "unregistered alice"]);
  assert.notEqual(join("alice").session, alice.session);
});

testPure("attach() with the rule replace gives the ID to the newer connection", () => {
  const { router, join, events, send } = setUp();
  const older = join("alice");
  const newer = join("alice");
  assert.deepEqual([older.connection.timesReplaced, router.connected], [1, 1]);
  assert.equal(send(newer.session, "alice", "{}"), "sent");
  assert.deepEqual([older.connection.read(), newer.connection.read()], [[], ["{}"]]);
  assert.deepEqual(events.lines, ["registered alice", "unregistered alice", "registered alice"]);
  assert.deepEqual(events.of("unregistered").map(({ reason }) => reason), ["replaced"]);
});

testPure("detach() of a replaced connection does not take the newer one's ID", () => {
  const { router, join, send } = setUp();
  const older = join("alice");
  const newer = join("alice");
  older.end(false);
  assert.equal(router.connected, 1);
  assert.equal(send(newer.session, "alice", "{}"), "sent");
});

testPure("detach() is idempotent", () => {
  const { router, join, events } = setUp();
  const alice = join("alice");
  alice.end(false);
  alice.end(false);
  assert.equal(router.connected, 0);
  assert.deepEqual(events.lines, ["registered alice", "unregistered alice"]);
});

testPure("detach() of an old session does not touch a new one with the same ID", () => {
  const { join, send } = setUp();
  const old = join("alice");
  old.end(false);
  const alice = join("alice");
  old.end(false);
  assert.equal(send(alice.session, "alice", "{}"), "sent");
});

testPure("claim() with the rule reject refuses a connected ID, and changes nothing", () => {
  const { join, refusal, events, send } = setUp({ onDuplicate: "reject" });
  const older = join("alice");
  assert.equal(refusal("alice", { presence: true }), "id_taken");
  assert.deepEqual([older.connection.timesReplaced, older.connection.read()], [0, []]);
  assert.equal(send(older.session, "alice", "{}"), "sent");
  assert.deepEqual(events.lines, ["registered alice"]);
});

testPure("events have the reason for which the server closed a connection", () => {
  const { router, join, events } = setUp();
  const alice = join("alice");
  const bob = join("bob", { resume: true });
  router.detach(alice.session, alice.connection, false, "overloaded");
  router.detach(bob.session, bob.connection, true, "overloaded");
  assert.deepEqual(events.of("unregistered").map(({ reason }) => reason), ["overloaded"]);
  assert.deepEqual(events.of("detached").map(({ reason }) => reason), ["overloaded"]);
});

// Messages.

testPure("deliver() sends to one client, broadcast() to all others", () => {
  const { router, join, send } = setUp();
  const [alice, bob, carol] = [join("alice"), join("bob"), join("carol")];
  assert.equal(send(alice.session, "bob", "to bob"), "sent");
  assert.equal(router.recipients(alice.session), 2);
  assert.equal(router.broadcast(alice.session, messageOf("to all")), 2);
  assert.deepEqual(alice.connection.read(), []);
  assert.deepEqual(bob.connection.read(), ["to bob", "to all"]);
  assert.deepEqual(carol.connection.read(), ["to all"]);
});

testPure("deliver() sends a client's message to itself at once, while others wait", () => {
  const { router, join } = setUp();
  const [alice, bob] = [join("alice"), join("bob")];
  alice.session.isWaiting = true;
  assert.equal(router.deliver(bob.session, "alice", "from bob"), false);
  assert.equal(router.deliver(alice.session, "alice", "from alice"), true);
  assert.deepEqual(alice.connection.read(), ["from alice"]);
});

testPure("broadcast() counts the clients that accept it, and may drop others", () => {
  const { router, join } = setUp();
  const alice = join("alice");
  const others = ["a", "b", "c", "d"].map((id) => join(id));
  for (const { fill } of others.slice(1, 3)) fill();
  assert.equal(router.broadcast(alice.session, messageOf("{}")), 2);
  assert.deepEqual(others.map(({ connection }) => connection.read().length), [1, 0, 0, 1]);
  assert.equal(router.connected, 3);
});

testPure("store() refuses at once if the mailbox is off, or if no client can have the ID", () => {
  const off = setUp({ mailboxTtlMs: 0 });
  const bob = off.join("bob");
  assert.equal(off.send(bob.session, "alice", "{}"), "refused");
  assert.deepEqual(bob.connection.read(), [notFound("alice")]);
  const { router, join, send } = setUp();
  const alice = join("alice").session;
  for (const targetId of ["b".repeat(129), "line\nfeed", "\ud800"]) {
    assert.equal(send(alice, targetId, "{}"), "refused");
  }
  assert.equal(router.directory.stored, 0);
});

// Rooms.

testPure("rooms are namespaces: no message, broadcast or presence notice crosses", () => {
  const { router, join, send } = setUp();
  const watcher = join("watcher", { room: "lobby", presence: true });
  const alice = join("alice");
  const lobbyAlice = join("alice", { room: "lobby" });
  assert.equal(alice.connection.timesReplaced, 0);
  assert.deepEqual(watcher.connection.read(), joined("alice"));
  send(alice.session, "alice", "default");
  send(lobbyAlice.session, "alice", "lobby");
  assert.deepEqual([alice.connection.read(), lobbyAlice.connection.read()], [["default"], [
    "lobby",
  ]]);
  assert.equal(router.broadcast(alice.session, messageOf("{}")), 0);
  assert.equal(send(alice.session, "watcher", "{}"), "stored");
  alice.end(false);
  assert.deepEqual(watcher.connection.read(), []);
  assert.deepEqual(router.peersOf(watcher.session), ["alice"]);
});

testPure("a room ends with its last session, attached or detached", () => {
  const { router, clock, join } = setUp();
  const alice = join("alice", { room: "lobby" });
  const bob = join("bob", { room: "lobby", resume: true });
  alice.end(true);
  bob.end(true);
  assert(router.room("lobby") !== undefined);
  clock.advance(RESUME_TTL_MS);
  assert.equal(router.room("lobby"), undefined);
});

testPure("a stored message is delivered only in its room", () => {
  const { join, send } = setUp();
  const alice = join("alice", { room: "lobby" });
  send(alice.session, "bob", "for bob in the lobby");
  const [bob, lobbyBob] = [join("bob"), join("bob", { room: "lobby" })];
  assert.deepEqual([bob.connection.read(), lobbyBob.connection.read()], [[], [
    "for bob in the lobby",
  ]]);
});

// Presence.

testPure("only clients with presence are notified of joins and leaves", () => {
  const { join } = setUp();
  const other = join("other");
  const watcher = join("watcher", { presence: true });
  assert.deepEqual(watcher.connection.read(), []);
  const alice = join("alice");
  alice.end(true);
  assert.deepEqual(watcher.connection.read(), [...joined("alice"), ...left("alice")]);
  assert.deepEqual([other.connection.read(), alice.connection.read()], [[], []]);
});

testPure("a replaced connection is a leave and a join", () => {
  const { join } = setUp();
  const watcher = join("watcher", { presence: true });
  const batched = join("batched", { presence: "batch" });
  const older = join("alice");
  watcher.connection.read();
  const newer = join("alice");
  older.end(false);
  assert.deepEqual(watcher.connection.read(), [...left("alice"), ...joined("alice")]);
  newer.end(false);
  assert.deepEqual(watcher.connection.read(), left("alice"));
  assert.deepEqual(batched.connection.read(), []);
});

testPure("each registration sets presence again", () => {
  const { router, join } = setUp();
  const watcher = join("watcher", { presence: true });
  const newer = join("watcher");
  join("alice");
  assert.deepEqual([watcher.connection.read(), newer.connection.read()], [[], []]);
  router.setPresence(newer.session, true);
  join("bob");
  assert.deepEqual(newer.connection.read(), joined("bob"));
  router.setPresence(newer.session, false);
  join("carol");
  assert.deepEqual(newer.connection.read(), []);
});

testPure("peersOf() lists the others of the room, detached sessions included", () => {
  const { router, join } = setUp();
  const alice = join("alice", { resume: true });
  const bob = join("bob");
  join("carol", { room: "lobby" });
  alice.end(true);
  assert.deepEqual(router.peersOf(bob.session), ["alice"]);
});

testPure("one announcement may drop any number of watchers", () => {
  const { router, join, clock, send } = setUp();
  const watchers = Array.from({ length: 20_000 }, (_, n) => join(`${n}`));
  for (const { session, fill } of watchers) {
    router.setPresence(session, true);
    fill();
  }
  const alice = join("alice");
  clock.advance(0);
  assert.equal(router.connected, 1);
  assert.equal(send(alice.session, "alice", "{}"), "sent");
});

testPure("the remaining watchers are notified once of each that an announcement drops", () => {
  const { join, clock } = setUp();
  const first = join("first", { presence: true });
  const dropped = ["a", "b", "c"].map((id) => join(id, { presence: true }));
  const last = join("last", { presence: true });
  for (const { fill } of dropped) fill();
  first.connection.read();
  join("alice");
  clock.advance(0);
  const expected = [...joined("alice"), ...left("a", "b", "c")].sort();
  for (const { connection } of [first, last]) {
    assert.deepEqual(connection.read().sort(), expected);
  }
});

// Held IDs.

testPure("the ID of a lost client that may resume is held: no leave, no replacement", () => {
  const { router, clock, join, refusal, events, send } = setUp();
  const watcher = join("watcher", { presence: true });
  const alice = join("alice", { resume: true });
  watcher.connection.read();
  alice.end(true);
  assert.deepEqual([router.connected, router.heldForMs(alice.session)], [1, RESUME_TTL_MS]);
  const refusals = [refusal("alice"), refusal("alice", { resume: "wrong" })];
  assert.deepEqual(refusals, ["id_held", "id_held"]);
  assert.equal(router.broadcast(watcher.session, messageOf("{}")), 0);
  assert.equal(send(watcher.session, "alice", "{}"), "stored");
  clock.advance(RESUME_TTL_MS - 1);
  assert.equal(router.heldForMs(alice.session), 1);
  assert.deepEqual(watcher.connection.read(), [notFound("alice")]);
  clock.advance(1);
  assert.deepEqual([router.connected, router.find("", "alice")], [1, undefined]);
  assert.deepEqual(watcher.connection.read(), left("alice"));
  assert.deepEqual(events.lines.slice(-1), ["unregistered alice"]);
  assert.equal(join("alice").resumed, false);
});

testPure("claim() with the secret resumes a held session, without a leave or a join", () => {
  const { router, clock, join } = setUp();
  const watcher = join("watcher", { presence: true });
  const before = join("alice", { resume: true, presence: true });
  const { secret } = before;
  assert(secret !== null);
  before.end(true);
  clock.advance(RESUME_TTL_MS - 1);
  const after = join("alice", { resume: secret });
  assert.deepEqual([after.resumed, after.secret], [true, secret]);
  assert.deepEqual([after.session, router.connected], [before.session, 2]);
  clock.advance(10 * RESUME_TTL_MS);
  assert.equal(router.connected, 2);
  assert.deepEqual(watcher.connection.read(), joined("alice"));
  assert.deepEqual(after.connection.read(), []); // presence was asked for before, not now
});

testPure("claim() with the secret takes the ID from an open connection", () => {
  for (const onDuplicate of ["replace", "reject"] as const) {
    const { join } = setUp({ onDuplicate });
    const watcher = join("watcher", { presence: true });
    const before = join("alice", { resume: true });
    watcher.connection.read();
    const after = join("alice", { resume: before.secret! });
    assert.deepEqual([after.resumed, before.connection.timesReplaced], [true, 1]);
    assert.deepEqual(watcher.connection.read(), []);
  }
});

testPure("claim() gives a resumable ID only for its secret or its token", () => {
  for (const onDuplicate of ["replace", "reject"] as const) {
    const { router, join, refusal } = setUp({ onDuplicate });
    const watcher = join("watcher", { presence: true });
    const alice = join("alice", { resume: true });
    watcher.connection.read();
    const { secret } = alice;
    for (const resume of [false, true, "", "wrong", `${secret} `]) {
      assert.equal(refusal("alice", { resume }), "id_taken");
    }
    assert.equal(alice.session.secret, secret);
    const owner = join("alice", { resume: true }, true);
    assert.deepEqual([owner.resumed, alice.connection.timesReplaced], [false, 1]);
    assert.notEqual(owner.secret, secret);
    assert.deepEqual(watcher.connection.read(), [...left("alice"), ...joined("alice")]);
    assert.equal(refusal("alice", { resume: secret! }), "id_taken");
    assert.equal(router.connected, 2);
  }
});

testPure("detach() releases the ID of a client that may not resume at once", () => {
  const { join } = setUp();
  const alice = join("alice", { resume: true });
  alice.end(false);
  assert.equal(join("alice").resumed, false);
});

testPure("with the resume time 0 no client gets a secret, and no ID is held", () => {
  const { router, join } = setUp({ resumeTtlMs: 0 });
  const alice = join("alice", { resume: true });
  assert.equal(alice.secret, null);
  alice.end(true);
  assert.equal(router.find("", "alice"), undefined);
});

testPure("an ID is held for the whole time after each disconnection", () => {
  const { router, clock, join } = setUp();
  let alice = join("alice", { resume: true });
  for (let round = 0; round < 3; round++) {
    alice.end(true);
    clock.advance(RESUME_TTL_MS - 1);
    alice = join("alice", { resume: alice.secret! });
  }
  assert.equal(router.connected, 1);
});

testPure("at most half of the connection limit is held, and the oldest ID goes first", () => {
  const { router, clock, join, events } = setUp({ maxConnections: 5 });
  const watcher = join("watcher", { presence: true });
  for (const id of ["a", "b", "c"]) {
    join(id, { resume: true }).end(true);
    clock.advance(1);
  }
  assert.deepEqual(router.peersOf(watcher.session), ["b", "c"]);
  assert.deepEqual(watcher.connection.read().slice(-1), left("a"));
  assert.equal(events.lines.filter((line) => line.startsWith("unregistered")).length, 1);
  assert.equal(router.connected, 1);
});

testPure("with a limit of one connection, one ID may still be held", () => {
  const { join } = setUp({ maxConnections: 1 });
  const alice = join("alice", { resume: true });
  alice.end(true);
  assert.equal(join("alice", { resume: alice.secret! }).resumed, true);
});

// Stored messages.

testPure("a client that registers gets its stored messages once and in order", () => {
  const { router, clock, join, send } = setUp();
  const alice = join("alice");
  for (const text of ["1", "2", "3"]) assert.equal(send(alice.session, "bob", text), "stored");
  assert.deepEqual(join("bob").connection.read(), ["1", "2", "3"]);
  assert.deepEqual(join("bob").connection.read(), []);
  clock.advance(10 * MAILBOX_TTL_MS);
  assert.deepEqual([alice.connection.read(), router.directory.stored], [[], 0]);
});

testPure("the sender of a stored message that expires is notified", () => {
  const { clock, join, events, send } = setUp();
  const alice = join("alice");
  send(alice.session, "bob", "1");
  clock.advance(4000);
  send(alice.session, "bob", "2");
  clock.advance(MAILBOX_TTL_MS - 4001);
  assert.deepEqual(alice.connection.read(), []);
  clock.advance(1);
  assert.deepEqual(alice.connection.read(), [notFound("bob")]);
  assert.deepEqual(join("bob").connection.read(), ["2"]);
  assert.deepEqual(events.lines.filter((line) => line.startsWith("error_sent")), [
    "error_sent target_not_found",
  ]);
});

testPure("the sender of a stored message that its target refuses is notified", () => {
  const { router, join, send } = setUp();
  const alice = join("alice");
  send(alice.session, "bob", "1");
  const registration = { clientId: "bob", room: "", presence: false, resume: false } as const;
  const bob = new FakeConnection();
  router.directory.claim({ ...registration, token: undefined }, false, (claim) => {
    const session = router.attach({ ...registration, token: undefined }, bob, claim);
    bob.whenFull = () => router.detach(session, bob, true, "overloaded");
    return { session, notifyRegistered() {} };
  });
  assert.deepEqual([alice.connection.read(), router.directory.stored], [[notFound("bob")], 0]);
});

testPure("a message that drops its target is stored for the resume", () => {
  const { join, send } = setUp();
  const alice = join("alice");
  const bob = join("bob", { resume: true });
  bob.fill();
  assert.equal(send(alice.session, "bob", "1"), "stored");
  assert.deepEqual(join("bob", { resume: bob.secret! }).connection.read(), ["1"]);
});

testPure("a notice to a detached session is stored for its resume", () => {
  const { clock, events, join, send } = setUp();
  const alice = join("alice", { resume: true });
  send(alice.session, "bob", "1");
  alice.end(true);
  clock.advance(MAILBOX_TTL_MS);
  const back = join("alice", { resume: alice.secret! });
  assert.deepEqual(back.connection.read(), [notFound("bob")]);
  assert(!events.lines.includes("stored_delivered alice"), "it is no message that was delivered");
});

testPure("a notice is stored as long as its session is held, and for no other session", () => {
  const { router, clock, join, send } = setUp();
  const alice = join("alice", { resume: true });
  for (const text of ["1", "2"]) send(alice.session, "bob", text);
  alice.end(true);
  clock.advance(RESUME_TTL_MS - 1);
  const back = join("alice", { resume: alice.secret! });
  assert.deepEqual(back.connection.read(), [notFound("bob"), notFound("bob")]);
  send(back.session, "bob", "3");
  clock.advance(MAILBOX_TTL_MS / 2); // its notice is stored when the ID is released
  back.end(true);
  clock.advance(RESUME_TTL_MS);
  assert.deepEqual(join("alice").connection.read(), []);
  clock.advance(MAILBOX_TTL_MS);
  assert.deepEqual([router.directory.stored, clock.pending], [0, 0]);
});

testPure("a client that takes a held ID by its token gets no stored notice", () => {
  const { clock, join, send } = setUp();
  const alice = join("alice", { resume: true });
  send(alice.session, "bob", "1");
  alice.end(true);
  clock.advance(MAILBOX_TTL_MS);
  assert.deepEqual(join("alice", { resume: true }, true).connection.read(), []);
});

testPure("notices of the expired messages of a detached session are stored for it", () => {
  const { clock, join, send } = setUp();
  const alice = join("alice", { resume: true });
  for (let n = 0; n < 600; n++) send(alice.session, `target ${n}`, "1");
  alice.end(true);
  clock.advance(MAILBOX_TTL_MS);
  const back = join("alice", { resume: alice.secret! });
  const expected = Array.from({ length: 600 }, (_, n) => notFound(`target ${n}`));
  assert.deepEqual(back.connection.read(), expected);
});

testPure("a notice to an ended session is not sent to the next session with its ID", () => {
  const { router, clock, join, send } = setUp();
  const alice = join("alice");
  send(alice.session, "bob", "1");
  alice.end(false);
  const next = join("alice");
  clock.advance(MAILBOX_TTL_MS);
  assert.deepEqual([next.connection.read(), router.directory.stored], [[], 0]);
});
