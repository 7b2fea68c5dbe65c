/** A loss of Redis is expected; any other error reaches the log. */

import assert from "node:assert/strict";
import { Disconnected, unlessDisconnected } from "../../lib/cluster/disconnected.ts";
import { Keys } from "../../lib/cluster/keys.ts";
import type { Node } from "../../lib/cluster/node.ts";
import { PendingRequests } from "../../lib/cluster/pending_requests.ts";
import { Rooms } from "../../lib/cluster/rooms.ts";
import { ClusterTopics } from "../../lib/cluster/topics.ts";
import type { Router } from "../../lib/relay/router.ts";
import { testPure } from "../helpers/pure.ts";
import { nextReportedError } from "../helpers/reported_error.ts";

/** Cluster code whose every request to Redis rejects. */
function setUp(error: Error) {
  const reject = () => Promise.reject(error);
  const redis = { subscribe: reject, unsubscribe: reject };
  const node = { isReady: true, redis, publish: reject } as unknown as Node;
  const [keys, requests] = [new Keys(""), new PendingRequests()];
  const router = { room: () => undefined } as unknown as Router;
  const hooks = { isStored: () => false, onMoved() {} };
  const rooms = new Rooms({ keys, node, requests, router }, hooks);
  return { reject, requests, rooms, topics: new ClusterTopics(node, keys, () => {}) };
}

const ACTIONS: Record<string, (parts: ReturnType<typeof setUp>) => unknown> = {
  "a subscription to a topic": ({ topics }) => topics.watch("topic", true),
  "the end of a subscription to a topic": ({ topics }) => topics.watch("topic", false),
  "a publication on a topic": ({ topics }) => topics.publish("topic", "text"),
  "a subscription to a room": ({ rooms }) => rooms.open("room"),
  "a request": ({ requests, reject }) => requests.request(reject, () => {}),
};

for (const [name, act] of Object.entries(ACTIONS)) {
  Deno.test(`an unexpected error of ${name} is reported, and a loss of Redis is not`, async () => {
    await act(setUp(new Disconnected("not connected")));
    const reported = nextReportedError();
    const bug = new TypeError("a bug");
    await act(setUp(bug));
    assert.equal(await reported, bug);
  });
}

testPure("unlessDisconnected() resolves to the value, or to the fallback", async () => {
  assert.equal(await unlessDisconnected(Promise.resolve(1), 2), 1);
  assert.equal(await unlessDisconnected(Promise.reject(new Disconnected("")), 2), 2);
  assert.equal(await unlessDisconnected(undefined), undefined);
  const reported = nextReportedError();
  assert.equal(await unlessDisconnected(Promise.reject("a bug"), 2), 2);
  assert.equal(await reported, "a bug");
});
