/** Presence over real sockets: which watchers get which notices. */

import assert from "node:assert/strict";
import { BareClient } from "../helpers/bare_client.ts";
import { TestClient } from "../helpers/client.ts";
import { FakeClock } from "../helpers/clock.ts";
import { assertNothing } from "../helpers/expect.ts";
import { startServer } from "../helpers/server.ts";

const joined = (client_id: string) => ({ type: "peer_joined", client_id });
const left = (client_id: string) => ({ type: "peer_left", client_id });

Deno.test("a client with presence gets the list, then joins and leaves, without itself", async () => {
  await using server = startServer();
  await TestClient.register(server.url, "alice");
  const bob = await TestClient.register(server.url, "bob", { presence: true });
  assert.deepEqual(bob.registered, { type: "registered", client_id: "bob", peers: ["alice"] });
  const carol = await TestClient.register(server.url, "carol", { presence: true });
  assert.deepEqual(carol.registered.peers, ["alice", "bob"]);
  assert.deepEqual(await bob.next(), joined("carol"));
  await carol.close(1000);
  assert.deepEqual(await bob.next(), left("carol"));
  await assertNothing(bob, "bob");
});

Deno.test("a client that does not ask for presence gets no notices of others", async () => {
  await using server = startServer();
  for (const presence of [undefined, false, null]) {
    const alice = await TestClient.register(server.url, "alice", { presence });
    assert.deepEqual(alice.registered, { type: "registered", client_id: "alice" });
    const bob = await TestClient.register(server.url, "bob");
    await bob.close(1000);
    await assertNothing(alice, "alice");
  }
});

Deno.test("presence is asked for anew with each register", async () => {
  await using server = startServer();
  const [alice, bob] = await TestClient.registerAll(server.url, "alice", "bob");
  alice.send({ type: "register", client_id: "alice", presence: true });
  assert.deepEqual(await alice.next(), {
    type: "registered",
    client_id: "alice",
    peers: ["bob"],
  });
  await bob.close(1000);
  assert.deepEqual(await alice.next(), left("bob"));
  alice.send({ type: "register", client_id: "alice" });
  assert.deepEqual(await alice.next(), { type: "registered", client_id: "alice" });
  await TestClient.register(server.url, "bob");
  await assertNothing(alice, "alice");
});

Deno.test("a batch has what has changed, and comes before the message of a newcomer", async () => {
  await using server = startServer();
  const watcher = await TestClient.register(server.url, "watcher", { presence: "batch" });
  assert.deepEqual(watcher.registered.peers, []);
  const alice = await TestClient.register(server.url, "alice");
  const changed = (...joined: string[]) => ({ type: "peers_changed", left: [], joined });
  assert.deepEqual(await watcher.next(), changed("alice"));
  const bob = await TestClient.register(server.url, "bob", { presence: "batch" });
  bob.send({ target_id: "watcher", type: "offer" });
  assert.deepEqual(await watcher.next(), changed("bob"));
  assert.deepEqual(await watcher.next(), { from: "bob", type: "offer" });
  const carol = await TestClient.register(server.url, "carol");
  carol.send({ type: "hello" });
  for (const client of [watcher, bob]) {
    assert.deepEqual(await client.next(), changed("carol"));
    assert.deepEqual(await client.next(), { from: "carol", type: "hello" });
  }
  await alice.close(1000);
  assert.deepEqual(await watcher.next(), { type: "peers_changed", left: ["alice"], joined: [] });
});

Deno.test("a replaced watcher gets no more notices, and its successor those that it asked for", async () => {
  await using server = startServer();
  const older = await TestClient.register(server.url, "alice", { presence: true });
  const second = await TestClient.register(server.url, "alice");
  assert.equal((await older.next()).code, "replaced");
  await TestClient.register(server.url, "bob");
  await assertNothing(second, "alice");
  const third = await TestClient.register(server.url, "alice", { presence: true });
  assert.deepEqual(third.registered.peers, ["bob"]);
  await TestClient.register(server.url, "carol");
  assert.deepEqual(await third.next(), joined("carol"));
});

Deno.test("a resumed connection is neither a leave nor a join, lost or alive", async () => {
  await using server = startServer();
  const watcher = await TestClient.register(server.url, "watcher", { presence: true });
  const lost = await BareClient.register(server.url, "alice", { resume: true });
  assert.deepEqual(await watcher.next(), joined("alice"));
  const { resume } = lost.registered;
  lost.cut();
  await server.events.happened("detached alice");
  const second = await TestClient.register(server.url, "alice", { resume });
  assert.equal(second.registered.resumed, true);
  const third = await TestClient.register(server.url, "alice", { resume });
  assert.equal((await second.next()).code, "replaced");
  assert.equal(third.registered.resumed, true);
  await assertNothing(watcher, "watcher");
});

Deno.test("a held ID is listed, and leaves when its time is up", async () => {
  const clock = new FakeClock();
  await using server = startServer({ resumeTtlMs: "30s" }, { clock });
  const lost = await BareClient.register(server.url, "alice", { resume: true });
  lost.cut();
  await server.events.happened("detached alice");
  const bob = await TestClient.register(server.url, "bob", { presence: true });
  assert.deepEqual(bob.registered.peers, ["alice"]);
  clock.advance(30_000);
  assert.deepEqual(await bob.next(), left("alice"));
  const carol = await TestClient.register(server.url, "carol", { presence: true });
  assert.deepEqual(carol.registered.peers, ["bob"]);
});

Deno.test("a watcher that resumes gets a list, which is as good as what it missed", async () => {
  await using server = startServer();
  const lost = await BareClient.register(server.url, "alice", { resume: true, presence: true });
  lost.cut();
  await server.events.happened("detached alice");
  await TestClient.register(server.url, "bob");
  const { resume } = lost.registered;
  const back = await TestClient.register(server.url, "alice", { resume, presence: true });
  assert.deepEqual(back.registered.peers, ["bob"]);
  await assertNothing(back, "alice");
});

Deno.test("a client that leaves is announced once, however the connection ends", async () => {
  await using server = startServer({ maxMessageSizeBytes: "1KiB" });
  const watcher = await TestClient.register(server.url, "watcher", { presence: true });
  const ends: Record<string, (client: BareClient) => void | Promise<void>> = {
    "closes with 1000": (client) => client.close(1000),
    "closes without a code": (client) => client.close(),
    "closes with 1001": (client) => client.close(1001),
    "is lost": (client) => client.cut(),
    "sends a message that is too large": (client) => client.send({ text: "x".repeat(2000) }),
  };
  for (const [clientId, end] of Object.entries(ends)) {
    using client = await BareClient.register(server.url, clientId);
    assert.deepEqual(await watcher.next(), joined(clientId));
    await end(client);
    assert.deepEqual(await watcher.next(), left(clientId));
    await assertNothing(watcher, "watcher");
  }
});

Deno.test("presence notices carry IDs as they are, and no from", async () => {
  await using server = startServer();
  const watcher = await TestClient.register(server.url, "watcher", { presence: true });
  const ids = ['"', "\\", "</script>", "🙂", "é", "__proto__", "watcher ", '{"from":"x"}'];
  for (const clientId of ids) {
    const client = await TestClient.register(server.url, clientId, { presence: true });
    assert.deepEqual(client.registered.peers, ["watcher"]);
    assert.deepEqual(await watcher.next(), joined(clientId));
    await client.close(1000);
    assert.deepEqual(await watcher.next(), left(clientId));
  }
});

Deno.test("two clients that join at the same time are announced to each other", async () => {
  await using server = startServer();
  const ids = Array.from({ length: 20 }, (_, n) => `client ${n}`);
  const clients = await Promise.all(
    ids.map((id) => TestClient.register(server.url, id, { presence: true })),
  );
  for (const [index, client] of clients.entries()) {
    const known = new Set(client.registered.peers as string[]);
    while (known.size < ids.length - 1) {
      const { type, client_id } = await client.next();
      assert.equal(type, "peer_joined");
      assert.ok(!known.has(client_id as string), "announced twice");
      known.add(client_id as string);
    }
    assert.ok(!known.has(ids[index]!));
    await assertNothing(client, ids[index]!);
  }
});
