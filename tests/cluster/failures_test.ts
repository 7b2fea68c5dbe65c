/** Failures in a cluster of three real nodes and a real Redis, several tests at a time. */

import assert from "node:assert/strict";
import { isOwnNetworkMissing, runInOwnNetwork } from "../helpers/cable.ts";
import { type Message, TestClient } from "../helpers/client.ts";
import { findFreePort } from "../helpers/free_port.ts";
import { Proxy } from "../helpers/proxy.ts";
import { isRedisMissing, TestRedis } from "../helpers/redis.ts";
import { testBesideEachOther } from "./beside_each_other.ts";
import { testCutOff } from "./cut_off.ts";
import {
  assertConnected,
  closeAll,
  DISCONNECTED_WITHIN_MS,
  messagesUntilNow,
  peer,
  within,
} from "./expectations.ts";
import { startNode, TestCluster } from "./nodes.ts";

const { register } = TestClient;

async function health(httpUrl: string): Promise<[number, string]> {
  const response = await fetch(`${httpUrl}/healthz`);
  return [response.status, (await response.json()).status];
}

testBesideEachOther("a cluster with failures", isRedisMissing(), {
  "a node is killed": async () => {
    await using cluster = await TestCluster.start("--mailbox-ttl", "2s", "--resume-ttl", "1m");
    const [a, b, c] = cluster.urls;
    const watcher = await register(b, "watcher", { presence: true });
    const plain = await register(a, "plain");
    const early = await register(a, "early", { resume: true });
    const late = await register(a, "late", { resume: true });
    const held = await register(a, "held", { resume: true });
    for (const id of ["plain", "early", "late", "held"]) {
      assert.deepEqual(await watcher.next(), peer("joined", id));
    }
    await held.close(4000);
    cluster.nodes[0]!.signal("SIGKILL");
    const noticed = within(DISCONNECTED_WITHIN_MS, watcher.next());
    await Promise.all([plain.closed, early.closed, late.closed]);

    await assert.rejects(register(c, "early"), /id_taken/);
    const { resume } = early.registered;
    const again = await register(c, "early", { resume });
    assert.deepEqual([again.registered.resume, again.registered.resumed], [resume, true]);

    assert.deepEqual(await noticed, peer("left", "plain"));
    watcher.send({ target_id: "plain" });
    const { code, target_id } = await watcher.next();
    assert.deepEqual([code, target_id], ["target_not_found", "plain"]);
    watcher.send({ target_id: "late", n: 1 });
    watcher.send({ target_id: "held", n: 2 });
    const late2 = await register(b, "late", { resume: late.registered.resume });
    const held2 = await register(c, "held", { resume: held.registered.resume });
    assert.deepEqual(await late2.next(), { from: "watcher", n: 1 });
    assert.deepEqual(await held2.next(), { from: "watcher", n: 2 });
    const plain2 = await register(c, "plain");
    await assertConnected(late2, plain2);
    assert.deepEqual(await messagesUntilNow(watcher), [peer("joined", "plain")]);
    await closeAll(watcher, again, late2, held2, plain2);
  },

  "a node is killed, and its clients do not resume": async () => {
    await using cluster = await TestCluster.start("--resume-ttl", "2s");
    const [a, b] = cluster.urls;
    const watcher = await register(b, "watcher", { presence: true });
    const client = await register(a, "client", { resume: true });
    assert.deepEqual(await watcher.next(), peer("joined", "client"));
    cluster.nodes[0]!.signal("SIGKILL");
    await client.closed;
    assert.deepEqual(await watcher.next(), peer("left", "client"));
    const newcomer = await register(b, "client", { resume: client.registered.resume });
    assert.equal(newcomer.registered.resumed, false);
    await closeAll(watcher, newcomer);
  },

  "a node shuts down": async () => {
    await using cluster = await TestCluster.start();
    const [a, b] = cluster.urls;
    const watcher = await register(b, "watcher", { presence: true });
    const plain = await register(a, "plain");
    const resumable = await register(a, "resumable", { resume: true });
    cluster.nodes[0]!.signal("SIGTERM");
    await Promise.all([plain.closed, resumable.closed]);
    watcher.send({ target_id: "resumable", n: 1 });
    const again = await register(b, "resumable", { resume: resumable.registered.resume });
    assert.equal(again.registered.resumed, true);
    assert.deepEqual(await again.next(), { from: "watcher", n: 1 });
    const { status } = await cluster.nodes[0]!.ended();
    assert.equal(status, 0);
    assert.deepEqual(await messagesUntilNow(watcher), [
      peer("joined", "plain"),
      peer("joined", "resumable"),
      peer("left", "plain"),
    ]);
    await closeAll(watcher, again);
  },

  "a node is paused for longer than its lease": async () => {
    await using cluster = await TestCluster.start("--mailbox-ttl", "1m", "--resume-ttl", "1m");
    const [a, b] = cluster.urls;
    const paused = cluster.nodes[0]!;
    const watcher = await register(b, "watcher", { presence: true });
    const lost = await register(a, "lost");
    const kept = await register(a, "kept");
    const resumed = await register(a, "resumed", { resume: true });
    const resumable = await register(a, "resumable", { resume: true });
    for (const id of ["lost", "kept", "resumed", "resumable"]) {
      assert.deepEqual(await watcher.next(), peer("joined", id));
    }
    paused.signal("SIGSTOP");
    for (const id of ["lost", "kept", "resumed", "resumable"]) {
      watcher.send({ target_id: id, n: 1 }); // in flight to the paused node
      lost.send({ target_id: id, n: 2 });
      resumed.send({ target_id: id, n: 3 });
    }
    lost.send({ target_id: "watcher", n: 4 });
    lost.send({ n: 5 });
    kept.send({ target_id: "watcher", n: 6 });
    resumed.send({ target_id: "watcher", n: 7 });
    const left = [await watcher.next(), await watcher.next()];
    assert.deepEqual(left.map(({ client_id }) => client_id).sort(), ["kept", "lost"]);
    const lost2 = await register(b, "lost");
    assert.deepEqual(await watcher.next(), peer("joined", "lost"));
    const resumed2 = await register(b, "resumed", { resume: resumed.registered.resume });
    assert.equal(resumed2.registered.resumed, true);
    watcher.send({ target_id: "kept", n: 8 });
    watcher.send({ target_id: "resumable", n: 9 });

    paused.signal("SIGCONT");
    for (const client of [lost, resumed]) {
      assert.equal((await client.next()).code, "replaced");
      assert.equal((await client.closed).code, 4409);
    }
    assert.deepEqual(await resumable.next(), { from: "watcher", n: 9 });
    assert.deepEqual(await kept.next(), { from: "watcher", n: 8 });
    const received: Message[] = [];
    while (received.length < 6) received.push(await watcher.next()); // notices come from another node
    const text = (message: Message) => JSON.stringify(message);
    assert.deepEqual(
      received.map(({ message: _, ...rest }) => text(rest)).sort(),
      [
        ...["lost", "kept", "resumed", "resumable"].map((target_id) =>
          text({ type: "error", code: "target_not_found", target_id })
        ),
        text({ from: "kept", n: 6 }),
        text(peer("joined", "kept")),
      ].sort(),
    );
    assert.deepEqual(await messagesUntilNow(watcher), []);
    assert.deepEqual(await messagesUntilNow(lost2), []);
    assert.deepEqual(await messagesUntilNow(resumed2), []);
    await assertConnected(lost2, kept);
    await assertConnected(resumed2, resumable);
    await closeAll(watcher, lost2, resumed2, kept, resumable);
  },

  "Redis is restarted empty, and a node is killed meanwhile": async () => {
    await using cluster = await TestCluster.start();
    const { redis, nodes, urls: [a, b, c] } = cluster;
    const watchers = [
      await register(a, "watcher a", { presence: true }),
      await register(b, "watcher b", { presence: true }),
    ] as const;
    const resumable = await register(a, "resumable", { resume: true });
    const held = await register(b, "held", { resume: true });
    await held.close(4000);
    const gone = await register(c, "gone");
    for (const watcher of watchers) await messagesUntilNow(watcher);
    await redis.kill();
    nodes[2]!.signal("SIGKILL");
    await gone.closed;
    await redis.restart();
    await Promise.all([nodes[0]!, nodes[1]!].map((node) => node.logged("Joined the cluster", 2)));
    await assertConnected(...watchers);
    const resumed = await register(b, "resumable", { resume: resumable.registered.resume });
    assert.equal(resumed.registered.resumed, true);
    assert.equal((await resumable.closed).reason, "replaced");
    const held2 = await register(a, "held", { resume: held.registered.resume });
    assert.equal(held2.registered.resumed, true);
    for (const watcher of watchers) assert.deepEqual(await watcher.next(), peer("left", "gone"));
    for (const watcher of watchers) assert.deepEqual(await messagesUntilNow(watcher), []);
    await closeAll(...watchers, resumed, held2);
  },

  "Redis is unreachable for a while": async () => {
    await using cluster = await TestCluster.start("--resume-ttl", "1s");
    const { redis, nodes, urls: [a, b] } = cluster;
    const alice = await register(a, "alice", { presence: true });
    const bob = await register(b, "bob", { presence: true });
    const neighbour = await register(a, "neighbour");
    const leaver = await register(a, "leaver", { resume: true });
    const older = await register(a, "claimed twice");
    await messagesUntilNow(alice);
    await messagesUntilNow(bob);
    await redis.kill();
    await Promise.all(nodes.map((node) => node.logged("Serving alone")));

    assert.deepEqual(await health(nodes[0]!.httpUrl), [200, "degraded"]);
    await assertConnected(alice, neighbour);
    alice.send({ target_id: "bob" });
    const unavailable = await alice.next();
    assert.deepEqual([unavailable.code, unavailable.target_id], ["unavailable", "bob"]);
    alice.send({ n: 1 });
    assert.equal((await alice.next()).code, "unavailable");
    assert.deepEqual(await neighbour.next(), { from: "alice", n: 1 });
    const newcomer = await register(a, "newcomer");
    assert.deepEqual(await alice.next(), peer("joined", "newcomer"));
    await assertConnected(newcomer, neighbour);
    const newer = await register(b, "claimed twice");
    assert.deepEqual(await bob.next(), peer("left", "claimed twice"));
    assert.deepEqual(await bob.next(), peer("joined", "claimed twice"));
    const firstOfTwo = await register(b, "claimed anew", { resume: true });
    await leaver.close(4000);
    // The second of its hold is between the two claims: the nodes know Redis' time to some milliseconds only.
    assert.deepEqual(await alice.next(), peer("left", "leaver"));
    const secondOfTwo = await register(a, "claimed anew");
    assert.deepEqual(await alice.next(), peer("joined", "claimed anew"));
    assert.deepEqual(await bob.next(), peer("joined", "claimed anew"));

    await redis.restart();
    await Promise.all(nodes.map((node) => node.logged("Joined the cluster", 2)));
    for (const client of [older, firstOfTwo]) {
      while ((await client.next()).code !== "replaced");
      assert.equal((await client.closed).code, 4409);
    }
    assert.deepEqual(await health(nodes[0]!.httpUrl), [200, "ok"]);
    await assertConnected(newer, newcomer);
    const notices = [await bob.next(), await bob.next()]; // the second once the cluster has settled
    assert.deepEqual(notices, [peer("joined", "newcomer"), peer("left", "leaver")]);
    await assertConnected(secondOfTwo, bob);
    assert.deepEqual(await messagesUntilNow(alice), []);
    await closeAll(alice, bob, neighbour, newcomer, newer, secondOfTwo);
  },

  "Redis is paused for a while": async () => {
    await using cluster = await TestCluster.start();
    const { redis, nodes, urls: [a, b] } = cluster;
    const alice = await register(a, "alice", { presence: true });
    const bob = await register(b, "bob");
    const neighbour = await register(a, "neighbour");
    await messagesUntilNow(alice);
    redis.signal("SIGSTOP");
    alice.send({ target_id: "bob", n: 1 });
    alice.send({ target_id: "neighbour", n: 2 });
    assert.deepEqual(await neighbour.next(), { from: "alice", n: 2 });
    const newcomer = register(a, "newcomer");
    const notices = [await alice.next(), await alice.next()];
    assert.deepEqual(notices.map(({ code, client_id }) => code ?? client_id).sort(), [
      "newcomer",
      "unavailable",
    ]);
    await newcomer;
    await Promise.all(nodes.map((node) => node.logged("Serving alone")));
    redis.signal("SIGCONT");
    await Promise.all(nodes.map((node) => node.logged("Joined the cluster", 2)));
    bob.send({ target_id: "newcomer", n: 3 });
    assert.deepEqual(await (await newcomer).next(), { from: "bob", n: 3 });
    assert.deepEqual(await messagesUntilNow(alice), []);
    await closeAll(alice, bob, neighbour, await newcomer);
  },

  "Redis is slow": async () => {
    await using redis = await TestRedis.start();
    await using proxy = new Proxy(redis.port, 200);
    const url = `redis://127.0.0.1:${proxy.port}`;
    await using cluster = await TestCluster.join(redis, [url, url, redis.url]);
    const [a, b, c] = cluster.urls;
    const alice = await register(a, "alice", { presence: true });
    for (let n = 0; n < 50; n++) alice.send({ target_id: "bob", n }); // sent, stored, or waiting for the claim
    const [bob, ...carols] = await Promise.all([
      register(b, "bob"),
      register(a, "carol"),
      register(b, "carol"),
      register(c, "carol"),
    ]);
    for (let n = 50; n < 100; n++) alice.send({ target_id: "bob", n });
    for (let n = 0; n < 100; n++) assert.deepEqual(await bob.next(), { from: "alice", n });
    const open = new Set(carols);
    const oneIsLeft = Promise.withResolvers<void>();
    for (const carol of carols) {
      carol.closed.then(() => {
        if (open.delete(carol) && open.size === 1) oneIsLeft.resolve();
      });
    }
    await oneIsLeft.promise;
    const [carol] = [...open];
    await assertConnected(bob, carol!);
    const joined = await messagesUntilNow(alice);
    const ids = joined.flatMap(({ type, client_id }) => type === "peer_joined" ? [client_id] : []);
    assert.deepEqual(ids.sort(), ["bob", "carol", "carol", "carol"]);
    assert.equal(joined.length, 6); // two of the three carols were replaced
    await closeAll(alice, bob, carol!);
  },

  "Redis is slow, and a client resumes while a broadcast waits for an older message": async () => {
    await using redis = await TestRedis.start();
    await using proxy = new Proxy(redis.port, 200);
    const slowUrl = `redis://127.0.0.1:${proxy.port}`;
    await using cluster = await TestCluster.join(redis, [slowUrl, redis.url]);
    const [a, b] = cluster.urls;
    const alice = await register(a, "alice", { presence: true });
    const carol = await register(b, "carol");
    const bob = await register(b, "bob", { resume: true });
    while ((await alice.next()).client_id !== "bob");
    await bob.close(4000);
    alice.send({ target_id: "bob", n: 1 });
    alice.send({ n: 2 });
    assert.deepEqual(await carol.next(), { from: "alice", n: 2 });
    const again = await register(b, "bob", { resume: bob.registered.resume });
    assert.equal(again.registered.resumed, true);
    assert.deepEqual(await again.next(), { from: "alice", n: 1 });
    assert.deepEqual(await messagesUntilNow(again), []);
    await closeAll(alice, carol, again);
  },

  "a client with an error to come disconnects while it resumes": async () => {
    await using redis = await TestRedis.start();
    await using proxy = new Proxy(redis.port);
    const urls = [`redis://127.0.0.1:${proxy.port}`, redis.url];
    await using cluster = await TestCluster.join(redis, urls, "--mailbox-ttl", "0");
    const [a, b] = cluster.urls;
    const bob = await register(b, "bob", { resume: true });
    const alice = await register(a, "alice", { resume: true });
    const carol = await register(a, "carol");
    proxy.cut();
    await bob.close(4000);
    alice.send({ target_id: "bob" });
    await alice.close(4000);
    carol.send({ target_id: "bob" });
    proxy.heal();
    assert.equal((await carol.next()).code, "target_not_found"); // and alice's is undelivered, too
    proxy.cut();
    const { resume } = alice.registered;
    const early = await TestClient.connect(a);
    early.send({ type: "register", client_id: "alice", resume });
    await early.close(4000);
    proxy.heal();
    const late = await register(a, "late"); // Redis has decided the earlier registration
    const again = await register(a, "alice", { resume });
    assert.equal(again.registered.resumed, true);
    const { code, target_id } = await again.next();
    assert.deepEqual([code, target_id], ["target_not_found", "bob"]);
    await closeAll(carol, late, again);
  },

  "Redis is slow, and two connections claim an ID": async () => {
    await using redis = await TestRedis.start();
    await using proxy = new Proxy(redis.port, 200);
    const url = `redis://127.0.0.1:${proxy.port}`;
    await using cluster = await TestCluster.join(redis, [url], "--on-duplicate", "reject");
    const [a] = cluster.urls;
    const alice = await register(a, "alice");
    const bob = await TestClient.connect(a);
    const rival = await TestClient.connect(a);
    bob.send({ type: "register", client_id: "bob" });
    await messagesUntilNow(alice);
    alice.send({ target_id: "bob", n: 1 }); // waits until the claim is decided
    for (let n = 0; n < 50; n++) await messagesUntilNow(alice); // keeps the two claims apart
    rival.send({ type: "register", client_id: "bob" });
    assert.equal((await bob.next()).type, "registered");
    alice.send({ target_id: "bob", n: 2 });
    assert.equal((await rival.next()).code, "id_taken");
    assert.deepEqual([await bob.next(), await bob.next()], [
      { from: "alice", n: 1 },
      { from: "alice", n: 2 },
    ]);
    await rival.closed;
    await closeAll(alice, bob);
  },

  "a node rejoins slowly, and stored messages come first": async () => {
    await using redis = await TestRedis.start();
    await using proxy = new Proxy(redis.port, 200);
    const slowUrl = `redis://127.0.0.1:${proxy.port}`;
    await using cluster = await TestCluster.join(redis, [redis.url, slowUrl]);
    const [{ nodes }, [a, b]] = [cluster, cluster.urls];
    const alice = await register(a, "alice");
    const bob = await register(b, "bob");
    const held = await register(b, "held", { resume: true });
    await redis.command("CLIENT", "KILL", "TYPE", "pubsub");
    await Promise.all(nodes.map((node) => node.logged("Serving alone")));
    await held.close(4000);
    const newcomer = await register(b, "newcomer");
    await nodes[0]!.logged("Joined the cluster", 2);
    let isBack = false;
    nodes[1]!.logged("Joined the cluster", 2).then(() => isBack = true);
    const direct: number[] = [];
    let n = 0;
    const sendToEach = () => {
      direct.push(n);
      for (const target_id of ["bob", "held", "newcomer"]) alice.send({ target_id, n });
    };
    for (; !isBack; n++) {
      if (n % 10 === 0) sendToEach();
      else alice.send({ n });
      await messagesUntilNow(alice);
    }
    sendToEach();

    for (const client of [bob, newcomer]) {
      const got = await numbersUntil(client, n);
      assert.deepEqual(got, got.toSorted((one, other) => one - other));
      assert.deepEqual(got.filter((n) => direct.includes(n)), direct);
    }
    const again = await register(a, "held", { resume: held.registered.resume });
    assert.deepEqual(await numbersUntil(again, n), direct);
    await closeAll(alice, bob, newcomer, again);
  },

  "a client moves while its former node rejoins": async () => {
    await using redis = await TestRedis.start();
    await using proxy = new Proxy(redis.port, 200);
    const slowUrl = `redis://127.0.0.1:${proxy.port}`;
    await using cluster = await TestCluster.join(redis, [redis.url, slowUrl]);
    const [{ nodes }, [a, b]] = [cluster, cluster.urls];
    const watcher = await register(a, "watcher");
    const alice = await register(b, "alice");
    const bob = await register(b, "bob", { resume: true });
    await redis.command("CLIENT", "KILL", "TYPE", "pubsub");
    await Promise.all(nodes.map((node) => node.logged("Serving alone")));
    await bob.close(4000);
    alice.send({ target_id: "bob", n: 1 });
    await nodes[0]!.logged("Joined the cluster", 2);
    const subscribers = () => redis.command("PUBSUB", "NUMSUB", "signalbox:room:{#}");
    while (!(await subscribers()).endsWith("2"));
    proxy.cut(); // before the former node claims bob again
    const again = await register(a, "bob", { resume: bob.registered.resume });
    assert.equal(again.registered.resumed, true);
    proxy.heal();
    assert.deepEqual(await again.next(), { from: "alice", n: 1 });
    await closeAll(watcher, alice, again);
  },

  "a client registers while a node starts": async () => {
    await using redis = await TestRedis.start();
    await using proxy = new Proxy(redis.port, 200);
    await using cluster = await TestCluster.join(redis, [redis.url]);
    const watcher = await register(cluster.urls[0], "watcher", { presence: true });
    const port = findFreePort();
    const starting = startNode(`redis://127.0.0.1:${proxy.port}`, ["--port", `${port}`]);
    let early: TestClient | null = null;
    while (early === null) {
      early = await register(`ws://127.0.0.1:${port}`, "early").catch(() => null);
    }
    assert.deepEqual(await messagesUntilNow(watcher), [peer("joined", "early")]);
    await assertConnected(early, watcher);
    await using _node = await starting;
    await closeAll(early, watcher);
  },

  "a node is cut off": async () => {
    await using redis = await TestRedis.start();
    await using proxy = new Proxy(redis.port);
    const urls = [`redis://127.0.0.1:${proxy.port}`, redis.url, redis.url];
    await using cluster = await TestCluster.join(redis, urls);
    await testCutOff(cluster, proxy);
  },

  "a node's cable is pulled": async () => {
    if (isOwnNetworkMissing()) return;
    await runInOwnNetwork(new URL("cut_off_in_namespace.ts", import.meta.url));
  },

  "Redis cuts connections": async () => {
    await testDisturbance("CLIENT", "KILL", "TYPE", "pubsub");
  },

  "the scripts are removed": async () => {
    await testDisturbance("SCRIPT", "FLUSH");
  },

  "the data is removed": async () => {
    await testDisturbance("FLUSHALL");
  },
});

/** Reads the numbers of a client's messages, up to this one. */
async function numbersUntil(client: TestClient, last: number): Promise<number[]> {
  const numbers: number[] = [];
  while (numbers.at(-1) !== last) numbers.push(Number((await client.next()).n));
  return numbers;
}

/** Disturbs Redis, and checks that no client is dropped or announced, and that messages arrive afterwards. */
async function testDisturbance(...command: readonly string[]): Promise<void> {
  await using cluster = await TestCluster.start();
  const { nodes, redis, urls } = cluster;
  const clients: TestClient[] = [];
  for (let n = 0; n < 12; n++) {
    const room = n < 6 ? "one" : "two";
    const more = { room, presence: true, resume: n % 2 === 0 };
    clients.push(await register(urls[n % 3]!, `client ${n}`, more));
  }
  for (const client of clients) await messagesUntilNow(client);
  for (let round = 0; round < 3; round++) {
    await redis.command(...command);
    // A node notices the loss of the scripts when it needs one, and loads them again for all nodes.
    const newcomers = await Promise.all(
      urls.map((url, n) => register(url, `newcomer ${n}`, { room: "three" })),
    );
    await Promise.all(nodes.map((node) => node.logged("Joined the cluster", round + 2)));
    for (let n = 0; n < 5; n++) {
      await assertConnected(clients[n]!, clients[n + 1]!);
      await assertConnected(clients[n + 6]!, clients[n + 7]!);
    }
    await closeAll(...newcomers);
  }
  for (const client of clients) assert.deepEqual(await messagesUntilNow(client), []);
  await closeAll(...clients);
}
