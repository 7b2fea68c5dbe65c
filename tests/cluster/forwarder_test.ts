/** Messages of one node for a client that two nodes believe to have, with a fake node, Redis and connections. */

import assert from "node:assert/strict";
import { Forwarder } from "../../lib/cluster/forwarder.ts";
import { Keys } from "../../lib/cluster/keys.ts";
import { readShipment, type Shipment } from "../../lib/cluster/messages.ts";
import type { Node } from "../../lib/cluster/node.ts";
import { PendingRequests } from "../../lib/cluster/pending_requests.ts";
import type { Registry } from "../../lib/cluster/registry.ts";
import { Rooms } from "../../lib/cluster/rooms.ts";
import { Capacity } from "../../lib/relay/capacity.ts";
import type { Directory } from "../../lib/relay/directory.ts";
import { Router } from "../../lib/relay/router.ts";
import type { Session, SessionConnection } from "../../lib/relay/session.ts";
import { FakeClock } from "../helpers/clock.ts";
import { testPure } from "../helpers/pure.ts";

const options = { onDuplicate: "replace", mailboxTtlMs: 10_000, resumeTtlMs: 10_000 } as const;

testPure(
  "messages wait for older ones that another node has, which the room believes to have the client",
  () => {
    const clock = new FakeClock();
    const published: Shipment[] = [];
    const node = {
      id: "here",
      isReady: true,
      session: null,
      redisTimeMs: 0,
      deadlineMs: 5000,
      whenLeaseValid: () => null,
      publish(_: string, text: string) {
        published.push(readShipment(text)!);
        return Promise.resolve(1);
      },
    } as unknown as Node;
    const directory = { sizeOf: () => 2, broadcast() {} } as unknown as Directory;
    const capacity = new Capacity({ maxConnections: 0, maxConnectionsPerIp: 0 });
    const router = new Router(options, capacity, clock, () => {}, () => directory);
    const keys = new Keys("");
    const hooks = { isStored: () => false, onMoved() {} };
    const rooms = new Rooms(keys, node, new PendingRequests(), router, hooks);
    const registry = { epochOf: () => 0, isConfirmed: () => false } as unknown as Registry;
    const forwarder = new Forwarder(keys, options, () => {}, router, node, registry, rooms, clock);
    const attach = (clientId: string): [Session, string[]] => {
      const texts: string[] = [];
      const connection = {
        address: "",
        dialect: null,
        isOpen: true,
        send: (text: string) => texts.push(text) > 0,
        attached() {},
      } as unknown as SessionConnection;
      const registration = { clientId, room: "", presence: false, resume: false, token: undefined };
      return [router.attach(registration, connection, { resumed: false, secret: null }), texts];
    };
    const [alice] = attach("alice");
    const view = rooms.open("");
    const send = (text: string) => {
      if (router.deliver(alice, "bob", text)) return;
      forwarder.send(alice, "bob", { type: undefined, text, bytes: text.length, receivedAtMs: 0 });
    };

    view.set("bob", { node: "there", epoch: 1, isHeld: false });
    send("1");
    const [{ parcels: [parcel] }] = published as [Shipment];
    const [, received] = attach("bob");
    view.set("bob", { node: "here", epoch: 0, isHeld: false });
    forwarder.flush("", "bob", true);
    send("2");
    view.apply({ kind: "held", id: "bob", node: "there", epoch: 1 });
    forwarder.flush("", "bob");
    assert.deepEqual(received, []);
    forwarder.receive({
      node: "there",
      received: parcel!.number,
      returned: [parcel!.number],
      hasGap: false,
      settled: 0,
      acknowledged: 0,
      previous: 0,
      deadlineMs: 5000,
      parcels: [],
    });
    clock.advance(50); // the forwarder tries again what a client's own node has returned
    assert.deepEqual(received, ["1", "2"]);
    forwarder.stop();
  },
);
