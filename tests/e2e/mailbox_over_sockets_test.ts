/** The mailbox over real sockets: stored in order, delivered or reported, within bounds (protocol.md, Mailbox). */

import assert from "node:assert/strict";
import { TestClient } from "../helpers/client.ts";
import { assertNothing } from "../helpers/expect.ts";
import { startServer } from "../helpers/server.ts";

Deno.test("kept messages follow registered, in order, each with its sender, and before any other", async () => {
  await using server = startServer();
  const [alice, carol] = await TestClient.registerAll(server.url, "alice", "carol");
  for (let n = 0; n < 10; n++) {
    const [client, id] = n % 2 === 0 ? [alice, "alice"] as const : [carol, "carol"] as const;
    client.send(`{"n":${n}.0, "target_id":"bob","text":"\\u00e9\\/"}`);
    await assertNothing(client, id);
  }
  const bob = await TestClient.connect(server.url);
  bob.send({ type: "register", client_id: "bob" });
  bob.send({ n: "own", target_id: "bob" });
  assert.equal(await bob.nextText(), '{"type":"registered","client_id":"bob"}');
  for (let n = 0; n < 10; n++) {
    const from = n % 2 === 0 ? "alice" : "carol";
    assert.equal(await bob.nextText(), `{"n":${n}.0, "from":"${from}","text":"\\u00e9\\/"}`);
  }
  assert.deepEqual(await bob.next(), { from: "bob", n: "own" });
});

Deno.test("a kept message is delivered once, also if its sender has left", async () => {
  await using server = startServer();
  const alice = await TestClient.register(server.url, "alice");
  alice.send({ type: "offer", target_id: "bob" });
  await assertNothing(alice, "alice");
  await alice.close(1000);
  const bob = await TestClient.register(server.url, "bob");
  assert.deepEqual(await bob.next(), { from: "alice", type: "offer" });
  await bob.close(1000);
  const next = await TestClient.register(server.url, "bob");
  await assertNothing(next, "bob");
});

Deno.test("a sender gets one target_not_found for each message when its time is up", async () => {
  await using server = startServer({ mailboxTtlMs: "200ms" });
  const alice = await TestClient.register(server.url, "alice");
  for (const target_id of ["bob", "carol", "bob"]) alice.send({ type: "offer", target_id });
  await assertNothing(alice, "alice");
  for (const target of ["bob", "carol", "bob"]) {
    assert.deepEqual(await alice.next(), {
      type: "error",
      code: "target_not_found",
      message: `No client "${target}" is connected.`,
      target_id: target,
    });
  }
  const bob = await TestClient.register(server.url, "bob");
  await assertNothing(bob, "bob");
  await assertNothing(alice, "alice");
});

Deno.test("a broadcast is not kept", async () => {
  await using server = startServer();
  const alice = await TestClient.register(server.url, "alice");
  alice.send({ type: "hello" });
  await assertNothing(alice, "alice");
  const bob = await TestClient.register(server.url, "bob");
  await assertNothing(bob, "bob");
});

Deno.test("past 64 messages for one target a sender gets mailbox_full, and the rest arrives", async () => {
  await using server = startServer({ rateLimitPerSecond: "0" });
  const alice = await TestClient.register(server.url, "alice");
  for (let n = 0; n < 66; n++) alice.send({ n, target_id: "bob" });
  alice.send({ n: 0, target_id: "carol" });
  for (let n = 0; n < 2; n++) {
    assert.deepEqual(await alice.next(), {
      type: "error",
      code: "mailbox_full",
      message: 'The mailbox of "bob" is full: send less until it is connected.',
      target_id: "bob",
    });
  }
  await assertNothing(alice, "alice");
  const bob = await TestClient.register(server.url, "bob");
  for (let n = 0; n < 64; n++) assert.equal((await bob.next()).n, n);
  await assertNothing(bob, "bob");
  alice.send({ n: 66, target_id: "bob" });
  assert.equal((await bob.next()).n, 66);
});

Deno.test("each message to clients that come at the last moment is delivered or reported, never both", async () => {
  const TTL_MS = 100;
  const TARGETS = 100;
  await using server = startServer({ mailboxTtlMs: `${TTL_MS}ms`, rateLimitPerSecond: "0" });
  const alice = await TestClient.register(server.url, "alice");
  const results = new Map<string, string>();
  const record = (target: string, what: string) => {
    assert.equal(results.get(target), undefined, `${target} was already ${results.get(target)}`);
    results.set(target, what);
  };
  async function come(target: string, delayMs: number) {
    await new Promise((resolve) => setTimeout(resolve, delayMs)); // the moment is what is tested
    const client = await TestClient.register(server.url, target);
    client.send({ type: "settled", target_id: target });
    const { type } = await client.next();
    if (type === "offer") record(target, "delivered");
    await client.close(1000);
  }
  const coming: Promise<void>[] = [];
  for (let n = 0; n < TARGETS; n++) {
    alice.send({ type: "offer", target_id: `target ${n}` });
    coming.push(come(`target ${n}`, TTL_MS * (0.7 + 0.5 * n / TARGETS)));
  }
  await Promise.all(coming);
  alice.send({ type: "settled", target_id: "alice" });
  for (let notice = await alice.next(); notice.type === "error"; notice = await alice.next()) {
    assert.equal(notice.code, "target_not_found");
    record(notice.target_id as string, "reported");
  }
  assert.equal(results.size, TARGETS);
});

Deno.test("a shutdown notifies the senders of stored messages", async () => {
  const server = startServer();
  const alice = await TestClient.register(server.url, "alice");
  alice.send({ type: "offer", target_id: "bob" });
  await assertNothing(alice, "alice");
  const drained = server.server.drain();
  const { code, target_id } = await alice.next();
  assert.deepEqual([code, target_id], ["target_not_found", "bob"]);
  assert.equal((await alice.closed).code, 1012);
  await drained;
});
