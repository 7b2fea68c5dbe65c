/** The Redis that a cluster is on: several of them, one with narrow rights, and those that will not do. */

import assert from "node:assert/strict";
import { nameOf, pickServer } from "../../lib/cluster/server_list.ts";
import { TestClient } from "../helpers/client.ts";
import { isRedisMissing, TestRedis } from "../helpers/redis.ts";
import { testBesideEachOther } from "./beside_each_other.ts";
import { assertConnected, closeAll } from "./expectations.ts";
import { startNode, TestCluster } from "./nodes.ts";

const { register } = TestClient;

/** Returns some rooms that live on this one of several Redis. */
function roomsOn({ url }: TestRedis, all: readonly TestRedis[]): string[] {
  const names = all.map(({ url }) => nameOf(url));
  const rooms = Array.from({ length: 100 }, (_, n) => `room ${n}`);
  return rooms.filter((room) => pickServer(names, room) === nameOf(url)).slice(0, 4);
}

/** Checks that the clients of two nodes reach each other in each of these rooms. */
async function assertRoomsShared(a: string, b: string, rooms: readonly string[]): Promise<void> {
  for (const room of rooms) {
    const alice = await register(a, "alice", { room });
    const bob = await register(b, "bob", { room });
    await assertConnected(alice, bob);
    await closeAll(alice, bob);
  }
}

async function statusOf(httpUrl: string): Promise<string> {
  return (await (await fetch(`${httpUrl}/healthz`)).json()).status;
}

testBesideEachOther("the Redis of a cluster", isRedisMissing(), {
  "rooms are spread over two, and one that fails takes its rooms alone": async () => {
    await using one = await TestRedis.start();
    await using two = await TestRedis.start();
    const [stable, degraded] = [roomsOn(one, [one, two]), roomsOn(two, [one, two])];
    const more = ["--redis-prefix", "mine"];
    await using cluster = await TestCluster.of(one, [
      startNode(one.url, ["--redis", two.url, ...more]),
      startNode(two.url, ["--redis", one.url, ...more]),
    ]);
    const { urls: [a, b], nodes } = cluster;
    await assertRoomsShared(a, b, [...stable, ...degraded]);
    for (const redis of [one, two]) {
      const keys = (await redis.command("KEYS", "*")).split("\n");
      assert.ok(keys.every((key) => key.startsWith("mine:")), `${keys}`);
      assert.match(await redis.command("INFO", "commandstats"), /cmdstat_hset/);
    }

    await using other = await startNode(one.url, more);
    await other.logged("has nodes with another list of --redis: give all nodes the same list");
    assert.equal(await statusOf(other.httpUrl), "degraded");
    const stranger = await register(other.url, "stranger", { room: stable[0]! });
    await stranger.close(1000);

    await two.kill();
    await Promise.all(nodes.map((node) => node.logged("Serving alone")));
    assert.equal(await statusOf(nodes[0]!.httpUrl), "degraded");
    const reached: string[] = [];
    for (const room of [...stable, ...degraded]) {
      const alice = await register(a, "alice", { room });
      const bob = await register(b, "bob", { room });
      alice.send({ target_id: "bob" });
      alice.send({ target_id: "alice" });
      if ((await alice.next()).code !== "unavailable") reached.push(room);
      await closeAll(alice, bob);
    }
    assert.deepEqual(reached, stable);
  },

  "rights that are missing are named": async () => {
    await using redis = await TestRedis.start();
    const missing = [["&*", "-publish"], ["resetchannels", "&signalbox:node*"]]; // the rooms' channels
    for (const [user, rights] of missing.entries()) {
      const poor = ["ACL", "SETUSER", `poor${user}`, "on", ">hush", "~*", "+@all", ...rights];
      await redis.command(...poor);
      await using node = await startNode(`redis://poor${user}:hush@127.0.0.1:${redis.port}`, []);
      const client = await register(node.url, "client");
      await node.logged("does not allow its user all that is needed");
      assert.doesNotMatch(node.log, /Internal error/);
      await client.close(1000);
    }
  },

  "those that will not do are named": async () => {
    const dir = await Deno.makeTempDir();
    await using primary = await TestRedis.start("--dir", dir);
    const follow = ["--replicaof", "127.0.0.1", String(primary.port)];
    await using replica = await TestRedis.start("--dir", dir, ...follow);
    await using sharded = await TestRedis.start("--dir", dir, "--cluster-enabled", "yes");
    for (
      const [{ url }, explained] of [
        [replica, "is a replica: --redis has to name the primary"],
        [sharded, "is a node of a Redis Cluster: --redis has to name a single Redis"],
      ] as const
    ) {
      await using node = await startNode(url, []);
      await node.logged(`Serving alone, trying again: `);
      assert.ok(node.log.includes(explained), node.log);
    }
    await Deno.remove(dir, { recursive: true });
  },
});
