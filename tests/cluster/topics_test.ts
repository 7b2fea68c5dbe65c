/** Topics of y-webrtc and Trystero over the nodes of a cluster. */

import assert from "node:assert/strict";
import { TestClient } from "../helpers/client.ts";
import { isRedisMissing } from "../helpers/redis.ts";
import { TestCluster } from "./nodes.ts";

/** Resolves to a subscriber once its subscription has been handled. */
async function subscribe(url: string, topic: string): Promise<TestClient> {
  const client = await TestClient.connect(url);
  client.send({ type: "subscribe", topics: [topic] });
  client.send({ type: "ping" });
  assert.deepEqual(await client.next(), { type: "pong" });
  return client;
}

/** Publishes until a subscriber on another node gets a message: Redis learns of a subscription a moment later. */
async function publishUntil(publisher: TestClient, topic: string, subscriber: TestClient) {
  let hasArrived = false;
  const arrived = subscriber.next().then((message) => {
    hasArrived = true;
    return message;
  });
  while (!hasArrived) {
    publisher.send({ type: "publish", topic, attempt: true });
    publisher.send({ type: "ping" });
    while ((await publisher.next()).type !== "pong");
  }
  return await arrived;
}

/** Reads the next message that is not an attempt. */
async function nextReal(client: TestClient) {
  while (true) {
    const message = await client.next();
    if (message.attempt === undefined) return message;
  }
}

Deno.test({
  name: "a publish reaches the subscribers of all nodes once, also after Redis was restarted",
  ignore: isRedisMissing(),
  async fn() {
    await using cluster = await TestCluster.start();
    const { redis, nodes, urls: [a, b] } = cluster;
    const [here, there] = [await subscribe(a, "room"), await subscribe(b, "room")];
    assert.equal((await publishUntil(here, "room", there)).topic, "room");
    here.send({ type: "publish", topic: "room", n: 1 });
    const last = { type: "publish", topic: "room", n: 1, clients: 1 };
    assert.deepEqual([await nextReal(here), await nextReal(there)], [last, last]);
    await redis.kill();
    await redis.restart();
    await Promise.all(nodes.map((node) => node.logged("Joined the cluster", 2)));
    await publishUntil(here, "room", there);
    for (const client of [here, there]) await client.close(1000);
  },
});
