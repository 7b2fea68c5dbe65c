/** Messages and claims of one node, with a fake Redis and fake connections. */

import assert from "node:assert/strict";
import { Disconnected } from "../../lib/cluster/disconnected.ts";
import { Forwarder } from "../../lib/cluster/forwarder.ts";
import { Keys } from "../../lib/cluster/keys.ts";
import {
  type Publication,
  readPublication,
  type ResponseMessage,
} from "../../lib/cluster/messages.ts";
import type { Node } from "../../lib/cluster/node.ts";
import { PendingRequests } from "../../lib/cluster/pending_requests.ts";
import { Registry } from "../../lib/cluster/registry.ts";
import { Rooms } from "../../lib/cluster/rooms.ts";
import { Capacity } from "../../lib/relay/capacity.ts";
import { type Directory, undelivered } from "../../lib/relay/directory.ts";
import { Router } from "../../lib/relay/router.ts";
import type { Session, SessionConnection } from "../../lib/relay/session.ts";
import type { Notice, Registration } from "../../lib/relay/vocabulary.ts";
import { FakeClock } from "../helpers/clock.ts";
import { testPure } from "../helpers/pure.ts";
import { NO_RESPONSE } from "./no_response.ts";

function setUp({ mailboxTtlMs = 10_000 } = {}) {
  const options = { onDuplicate: "replace", mailboxTtlMs, resumeTtlMs: 10_000 } as const;
  const clock = new FakeClock();
  const published: Publication[] = [];
  /** Scripts that the node has run, each with its arguments. */
  const scripts: (readonly (string | number)[])[] = [];
  const run = (...script: (string | number)[]) => Promise.resolve(scripts.push(script));
  const node = {
    id: "here",
    isReady: true,
    redis: { run, subscribe: () => Promise.resolve(), unsubscribe: () => Promise.resolve() },
    redisTimeMs: 0,
    deadlineMs: 5000,
    whenLeaseValid: () => null,
    run,
    runEarly: run,
    publish(_: string, text: string) {
      published.push(readPublication(text)!);
      return Promise.resolve(1);
    },
  } as unknown as Node;
  const directory = {
    sizeOf: () => 2,
    broadcast() {},
    ended() {},
    storeNotice() {},
  } as unknown as Directory;
  const capacity = new Capacity({ maxConnections: 0, maxConnectionsPerIp: 0 });
  const router = new Router(options, capacity, clock, () => {}, () => directory);
  const [keys, requests] = [new Keys(""), new PendingRequests()];
  const rooms: Rooms = new Rooms({ keys, node, requests, router }, {
    isStored: (room) => forwarder.hasStored(room),
    onMoved: (room, id) => forwarder.flush(room, id),
  });
  const shared = { keys, options, router, node, rooms };
  const registry = new Registry({ ...shared, requests }, {
    onAttached: (session) => forwarder.flush("", session.id, true),
    onConfirmed() {},
    onEvicted() {},
  });
  const forwarder = new Forwarder({ ...shared, registry, clock, emit() {} });
  const attach = (clientId: string): [Session, string[]] => {
    const texts: string[] = [];
    const connection = {
      address: "",
      dialect: null,
      isOpen: true,
      send: (text: string) => texts.push(text) > 0,
      notify: ({ kind, ...rest }: Notice) => texts.push("code" in rest ? rest.code : kind) > 0,
      attached() {},
      replaced() {},
    } as unknown as SessionConnection;
    const claim = { resumed: false, secret: null };
    return [router.attach(registrationOf(clientId), connection, claim), texts];
  };
  const claim = (session: Session) =>
    registry.claim(
      registrationOf(session.id),
      false,
      () => ({ session, notifyRegistered() {} }),
    );
  const send = (from: Session, text: string) => {
    if (router.deliver(from, "bob", text)) return;
    forwarder.send(from, "bob", { type: undefined, text, bytes: text.length, receivedAtMs: 0 });
  };
  const respond = (
    requestId: number,
    epoch: number,
    status: ResponseMessage["status"] = "ok",
    members: ResponseMessage["members"] = [],
  ) => {
    return requests.resolve({ ...NO_RESPONSE, claimedAtMs: 1, requestId, status, epoch, members });
  };
  const fakes = { clock, published, scripts, node };
  return { ...fakes, router, rooms, registry, forwarder, attach, claim, send, respond };
}

function registrationOf(clientId: string): Registration {
  return { clientId, room: "", presence: false, resume: false, token: undefined };
}

/** A publication that returns what was sent to `there` under this number. */
function returning(number: number): Publication {
  const counts = { handledReturn: 0, acknowledged: 0, previous: 0, deadlineMs: 5000 };
  const none = { hasGap: false, packets: [] };
  return { node: "there", received: number, returned: [number], ...counts, ...none };
}

testPure(
  "messages wait for older ones at another node that, as the room has it, still has the client",
  () => {
    const { clock, published, rooms, forwarder, attach, send } = setUp();
    const [alice] = attach("alice");
    const view = rooms.open("");
    view.set("bob", { node: "there", epoch: 1, isHeld: false });
    send(alice, "1");
    const [{ packets: [packet] }] = published as [Publication];
    const [, received] = attach("bob");
    view.set("bob", { node: "here", epoch: 0, isHeld: false });
    forwarder.flush("", "bob", true);
    send(alice, "2");
    view.apply({ kind: "held", id: "bob", node: "there", epoch: 1 });
    forwarder.flush("", "bob");
    assert.deepEqual(received, []);
    forwarder.receive(returning(packet!.number));
    clock.advance(50); // the forwarder tries again what a client's own node has returned
    assert.deepEqual(received, ["1", "2"]);
    forwarder.stop();
  },
);

testPure(
  "messages for a client that has moved here wait 2.5 s for its former node, also without Redis",
  () => {
    const { clock, node, rooms, forwarder, attach, send } = setUp();
    const [alice] = attach("alice");
    const view = rooms.open("");
    view.set("bob", { node: "there", epoch: 1, isHeld: false });
    send(alice, "1");
    Object.assign(node, { isReady: false });
    const [, received] = attach("bob");
    view.set("bob", { node: "here", epoch: 0, isHeld: false });
    forwarder.flush("", "bob", true);
    send(alice, "2");
    clock.advance(2499);
    assert.deepEqual(received, []);
    clock.advance(1);
    assert.deepEqual(received, ["2"]);
    forwarder.stop();
  },
);

testPure("a room is closed when the last message that was stored there has failed", () => {
  const { published, router, rooms, forwarder, attach, send } = setUp({ mailboxTtlMs: 0 });
  const [alice] = attach("alice");
  const view = rooms.open("");
  view.set("bob", { node: "there", epoch: 1, isHeld: false });
  send(alice, "1");
  router.detach(alice, alice.connection!, false, null);
  const [{ packets: [packet] }] = published as [Publication];
  forwarder.receive(returning(packet!.number));
  assert.equal(rooms.get(""), view);
  view.apply({ kind: "left", id: "bob", node: "there", epoch: 1 });
  forwarder.flush("", "bob");
  assert.deepEqual([forwarder.stored, rooms.get("")], [0, undefined]);
  forwarder.stop();
});

testPure("an error reaches a sender that has moved after the last client of its room", async () => {
  const { published, router, rooms, forwarder, attach, respond } = setUp();
  const [alice] = attach("alice");
  router.evict(alice, true);
  assert.equal(rooms.get(""), undefined);
  forwarder.storeNotice(alice, undelivered("target_not_found", "bob"));
  await Promise.resolve();
  respond(1, 0, "ok", [["alice", { node: "there", epoch: 2, isHeld: false }]]);
  const [{ packets: [packet] }] = published as [Publication];
  assert.deepEqual([packet?.packet.kind, packet?.packet.targetId], ["notice", "alice"]);
  forwarder.stop();
});

testPure("an error that comes back late follows its sender to the next node", () => {
  const { clock, published, router, rooms, forwarder, attach } = setUp();
  const [alice] = attach("alice");
  const view = rooms.open("");
  view.set("alice", { node: "there", epoch: 1, isHeld: false });
  rooms.use("");
  router.evict(alice, true);
  forwarder.storeNotice(alice, undelivered("target_not_found", "bob"));
  const [{ packets: [first] }] = published as [Publication];
  view.apply({ kind: "resumed", id: "alice", node: "elsewhere", epoch: 2 });
  forwarder.flush("", "alice");
  clock.advance(2500); // newer messages no longer wait for it
  forwarder.receive(returning(first!.number));
  const [, { packets: [second] }] = published as [Publication, Publication];
  assert.deepEqual(second?.packet, { ...first!.packet, epoch: 2, order: 2 });
  forwarder.stop();
});

testPure(
  "a sender is notified 5 s after a loss of Redis, and an error waits for its return",
  async () => {
    const { clock, published, node, router, rooms, forwarder, attach, send } = setUp();
    const { publish } = node;
    const [alice, received] = attach("alice");
    const [mover] = attach("mover");
    const view = rooms.open("");
    for (const id of ["bob", "mover"]) view.set(id, { node: "there", epoch: 1, isHeld: false });
    router.evict(mover, true);
    Object.assign(node, { publish: () => Promise.reject(new Disconnected("")) });
    send(alice, "1");
    forwarder.storeNotice(mover, undelivered("target_not_found", "bob"));
    Object.assign(node, { isReady: false });
    forwarder.onLost();
    clock.advance(3000);
    forwarder.onLost(); // Redis refuses a connection
    clock.advance(2000);
    assert.deepEqual(received, ["unavailable"]);
    await new Promise((resolve) => setTimeout(resolve));
    Object.assign(node, { isReady: true, publish });
    forwarder.onReady();
    const kinds = published.flatMap(({ packets }) => packets.map(({ packet }) => packet.kind));
    assert.deepEqual(kinds, ["notice"]);
    forwarder.stop();
  },
);

testPure(
  "onLateClaim() claims the ID of a client again, and releases that of another",
  async () => {
    const { scripts, registry, attach, claim, respond } = setUp();
    const [session] = attach("alice");
    const claiming = claim(session);
    await Promise.resolve();
    respond(1, 10);
    await claiming;
    registry.onLateClaim({ ...NO_RESPONSE, id: "alice", epoch: 11 });
    registry.onLateClaim({ ...NO_RESPONSE, id: "bob", epoch: 11 });
    assert.deepEqual(scripts.slice(1).map(([name, , , id, , epoch]) => [name, id, epoch]), [
      ["reclaim", "alice", 10],
      ["release", "bob", 11],
    ]);
    assert.equal(registry.isConfirmed(session), false);
    respond(2, 12);
    assert.deepEqual([registry.isConfirmed(session), registry.epochOf(session)], [true, 12]);
    assert.equal(respond(1, 10), false);
  },
);

testPure("a client that ends while its node joins leaves no registration in Redis", async () => {
  const { scripts, node, registry, attach, claim } = setUp();
  const [session] = attach("alice");
  Object.assign(node, { isReady: false, run: () => Promise.reject(new Disconnected("")) });
  await claim(session);
  registry.ended(session);
  assert.deepEqual(scripts.map(([name, , , id]) => [name, id]), [["forget", "alice"]]);
});

testPure("a node that loses Redis while it reads a large room decides a claim alone", async () => {
  const { node, rooms, attach, claim, respond } = setUp();
  const [session] = attach("alice");
  const claiming = claim(session);
  await Promise.resolve();
  Object.assign(node, {
    isReady: false,
    redis: null,
    run: () => Promise.reject(new Disconnected("")),
  });
  respond(1, 0, "large");
  await claiming;
  assert.deepEqual(rooms.ownerOf("", "alice"), { node: "here", epoch: 0, isHeld: false });
});
