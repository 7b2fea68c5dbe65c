/** Rooms over real sockets: namespaces that nothing crosses (protocol.md, Rooms). */

import assert from "node:assert/strict";
import { BareClient } from "../helpers/bare_client.ts";
import { TestClient } from "../helpers/client.ts";
import { startServer } from "../helpers/server.ts";

/** Asserts that nothing has come to `to` before a last message, which `from` sends. */
async function assertNothingBefore(from: TestClient, to: TestClient, toId: string) {
  from.send({ type: "last", target_id: toId });
  assert.equal((await to.next()).type, "last");
}

Deno.test("registered names the room, if there is one", async () => {
  await using server = startServer();
  const names = ["lobby", "🙂", "x".repeat(128), "__proto__", "constructor", '"', "a/b", " "];
  for (const room of names) {
    const client = await TestClient.register(server.url, "alice", { room });
    assert.deepEqual(client.registered, { type: "registered", client_id: "alice", room });
  }
  for (const more of [{}, { room: null }]) {
    const client = await TestClient.register(server.url, "alice", more);
    assert.deepEqual(client.registered, { type: "registered", client_id: "alice" });
  }
});

Deno.test("one ID can be connected in several rooms, and no message goes astray", async () => {
  await using server = startServer({ onDuplicate: "reject" });
  const rooms = [undefined, "lobby", "attic", "__proto__"];
  const register = (clientId: string) =>
    Promise.all(rooms.map((room) => TestClient.register(server.url, clientId, { room })));
  const alices = await register("alice");
  const bobs = await register("bob");
  for (const [n, bob] of bobs.entries()) bob.send({ n, target_id: "alice" });
  for (const [n, alice] of alices.entries()) {
    assert.deepEqual(await alice.next(), { from: "bob", n });
    await assertNothingBefore(bobs[n]!, alice, "alice");
  }
});

Deno.test("a message finds no target in another room", async () => {
  await using server = startServer({ mailboxTtlMs: "0" });
  const bob = await TestClient.register(server.url, "bob", { room: "attic" });
  for (const more of [{}, { room: "lobby" }, { room: "atti" }, { room: "attic " }]) {
    const alice = await TestClient.register(server.url, "alice", more);
    alice.send({ type: "offer", target_id: "bob" });
    const { code, target_id } = await alice.next();
    assert.deepEqual([code, target_id], ["target_not_found", "bob"]);
  }
  const carol = await TestClient.register(server.url, "carol", { room: "attic" });
  await assertNothingBefore(carol, bob, "bob");
});

Deno.test("a broadcast stays in its room", async () => {
  await using server = startServer();
  const rooms = [undefined, "lobby", "attic"];
  const inRooms = await Promise.all(rooms.map(async (room) => ({
    sender: await TestClient.register(server.url, "sender", { room }),
    receivers: await Promise.all(
      ["a", "b"].map((id) => TestClient.register(server.url, id, { room })),
    ),
  })));
  for (const [n, { sender }] of inRooms.entries()) sender.send({ n });
  for (const [n, { sender, receivers }] of inRooms.entries()) {
    for (const [index, receiver] of receivers.entries()) {
      assert.deepEqual(await receiver.next(), { from: "sender", n });
      await assertNothingBefore(sender, receiver, ["a", "b"][index]!);
    }
    await assertNothingBefore(sender, sender, "sender");
  }
});

Deno.test("presence stays in its room", async () => {
  await using server = startServer();
  const everywhere = [undefined, "lobby", "attic"];
  const watchers = await Promise.all(
    everywhere.map((room) => TestClient.register(server.url, "watcher", { room, presence: true })),
  );
  for (const [n, room] of everywhere.entries()) {
    const guest = await TestClient.register(server.url, `guest ${n}`, { room, presence: true });
    assert.deepEqual(guest.registered.peers, ["watcher"]);
    await guest.close(1000);
  }
  for (const [n, watcher] of watchers.entries()) {
    assert.deepEqual(await watcher.next(), { type: "peer_joined", client_id: `guest ${n}` });
    assert.deepEqual(await watcher.next(), { type: "peer_left", client_id: `guest ${n}` });
    await assertNothingBefore(watcher, watcher, "watcher");
  }
});

Deno.test("a kept message waits for its target in one room only", async () => {
  await using server = startServer({ mailboxTtlMs: "300ms" });
  const alice = await TestClient.register(server.url, "alice", { room: "lobby" });
  alice.send({ type: "offer", target_id: "bob" });
  for (const room of [undefined, "attic"]) {
    const bob = await TestClient.register(server.url, "bob", { room });
    await assertNothingBefore(bob, bob, "bob");
  }
  const { code, target_id } = await alice.next();
  assert.deepEqual([code, target_id], ["target_not_found", "bob"]);
});

Deno.test("a resume secret is good for one room only", async () => {
  await using server = startServer();
  const alice = await BareClient.register(server.url, "alice", { room: "lobby", resume: true });
  alice.cut();
  await server.events.happened("detached alice");
  const { resume } = alice.registered;
  for (const room of [undefined, "attic"]) {
    const other = await TestClient.register(server.url, "alice", { room, resume });
    assert.equal(other.registered.resumed, false);
    assert.notEqual(other.registered.resume, resume);
  }
  const again = await TestClient.register(server.url, "alice", { room: "lobby", resume });
  assert.deepEqual([again.registered.resumed, again.registered.resume], [true, resume]);
});

Deno.test("a connection cannot change its room", async () => {
  await using server = startServer();
  for (
    const [room, others] of [[undefined, ["attic"]], ["lobby", ["attic", "", null, 5]]] as const
  ) {
    const alice = await TestClient.register(server.url, "alice", { room });
    for (const other of [...others, "\n", [], {}]) {
      alice.send({ type: "register", client_id: "alice", room: other });
      assert.equal((await alice.next()).code, "already_registered");
    }
    alice.send({ type: "register", client_id: "alice", room });
    assert.deepEqual(await alice.next(), alice.registered);
  }
});

Deno.test("a malformed room is refused", async () => {
  await using server = startServer();
  for (const room of ["a\nb", "\u0085", "\ud800", "x".repeat(129), 5, true, [], ["lobby"], {}]) {
    const client = await TestClient.connect(server.url);
    client.send({ type: "register", client_id: "alice", room });
    assert.equal((await client.next()).code, "invalid_client_id");
    assert.deepEqual(await client.ending(), [1008, "invalid_client_id"]);
  }
});
