/** Memory that one attacker can make the server use in ways that no single limit counts. */

import assert from "node:assert/strict";
import { BareClient } from "../helpers/bare_client.ts";
import { type Message, TestClient } from "../helpers/client.ts";
import { Pair } from "../helpers/pair.ts";
import { inMebibytes, memoryOf } from "../helpers/process.ts";
import { ServingProgram } from "../helpers/program.ts";
import { RawPeer } from "../helpers/raw_peer.ts";
import { testOnRuntimes } from "../helpers/runtimes.ts";
import { startServer } from "../helpers/server.ts";

const MiB = 1024 ** 2;

// What waits for clients that do not read.

const READERS = 63;
const TOTAL_BYTES = 32 * MiB;
/** Buffered messages take up to three times their bytes in the runtime; the rest is for the process itself. */
const MAX_GROWTH_BYTES = 3 * TOTAL_BYTES + 32 * MiB;

/** Sends a whole burst to a client that does not read, and waits until the server has handled it. */
async function burst(url: string, targetId: string): Promise<void> {
  const sender = await TestClient.register(url, `sender of ${targetId}`);
  for (let n = 0; n < 600; n++) sender.send({ target_id: targetId, text: "x".repeat(16_000) });
  sender.send({ type: "register", client_id: `sender of ${targetId}` });
  let answer: Message;
  do answer = await sender.next(); while (answer.type !== "registered" && !isRefusal(answer));
  await sender.close();
}

function isRefusal({ code }: Message): boolean {
  return code === "rate_limited";
}

testOnRuntimes("63 clients that do not read a burst take a bounded memory", async (command) => {
  const args = ["--max-buffered-total", `${TOTAL_BYTES}`, "--log-level", "error"];
  await using program = await ServingProgram.start(args, { command });
  using readers = new DisposableStack();
  for (let n = 0; n < READERS; n++) {
    readers.use(await RawPeer.register(program.url, `stuck ${n}`));
  }
  const before = memoryOf(program.pid);
  const pair = await Pair.start(program.url);
  for (let n = 0; n < READERS; n++) await burst(program.url, `stuck ${n}`);
  await pair.exchange(10);
  const { messages, slowestMs } = await pair.finish();
  const growth = memoryOf(program.pid).peakBytes - before.nowBytes;
  console.info(
    `${READERS} bursts of 9.2 MiB; ${messages} messages there and back, none lost, the slowest in ` +
      `${slowestMs} ms; memory grew by ${inMebibytes(growth)} at the most (may be ` +
      `${inMebibytes(MAX_GROWTH_BYTES)})`,
  );
  assert(growth < MAX_GROWTH_BYTES, inMebibytes(growth));
});

// IDs that are held.

const FROM = { "x-forwarded-for": "192.0.2.66" };

Deno.test("an address that registers with resume and cuts, again and again, fills no server", async () => {
  const options = { maxConnections: "100", maxConnectionsPerIp: "5", trustProxy: "true" };
  await using server = startServer(options);
  const answers: string[] = [];
  for (let n = 0; n < 100; n++) {
    using attacker = await BareClient.connect(server.url, FROM);
    await attacker.send({ type: "register", client_id: `held ${n}`, resume: true });
    const { type, code } = await attacker.next();
    answers.push(`${code ?? type}`);
    attacker.cut();
    while (server.events.of("connection_closed").length <= n) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  assert.deepEqual(answers.slice(0, 5), Array(5).fill("registered"));
  assert.deepEqual(new Set(answers.slice(5)), new Set(["server_full"]));
  const newcomer = await TestClient.register(server.url, "newcomer");
  await newcomer.close();
});

Deno.test("the owner of a held ID comes back to a full server, and takes nothing of the others", async () => {
  await using server = startServer({ maxConnections: "4" });
  const owner = await BareClient.register(server.url, "owner", { resume: true });
  owner.cut();
  await server.events.happened("detached owner");
  const others: TestClient[] = [];
  for (const id of ["a", "b", "c"]) others.push(await TestClient.register(server.url, id));
  const newcomer = await TestClient.connect(server.url); // it is let in, and learns why it may not stay
  newcomer.send({ type: "register", client_id: "newcomer" });
  assert.equal((await newcomer.next()).code, "server_full");
  assert.equal((await newcomer.closed).code, 1013);
  while (server.events.of("connection_closed").length < 2) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const { resume } = owner.registered;
  const back = await TestClient.register(server.url, "owner", { resume });
  assert.equal(back.registered.resumed, true);
  await Promise.all([back, ...others].map((client) => client.close()));
});

Deno.test("lost clients of many addresses hold at most half of the server", async () => {
  await using server = startServer({ maxConnections: "10" });
  for (let n = 0; n < 9; n++) {
    using client = await BareClient.register(server.url, `held ${n}`, { resume: true });
    client.cut();
    await server.events.happened(`detached held ${n}`);
  }
  const newcomers: TestClient[] = [];
  for (let n = 0; n < 5; n++) newcomers.push(await TestClient.register(server.url, `${n}`));
  assert.equal(server.events.of("unregistered").length, 4);
  await Promise.all(newcomers.map((newcomer) => newcomer.close()));
});

// The mailbox.

Deno.test("one address' messages to absent targets leave the mailbox to the others", async () => {
  const options = { trustProxy: "true", rateLimitPerSecond: "0" };
  await using server = startServer(options);
  using attacker = await BareClient.connect(server.url, FROM);
  await attacker.send({ type: "register", client_id: "attacker" });
  await attacker.next();
  const text = "x".repeat(50_000);
  const count = 200; // 10 MB
  for (let n = 0; n < count; n++) await attacker.send({ target_id: `absent ${n}`, text });
  await attacker.send({ type: "last", target_id: "attacker" });
  let refused = 0;
  for (let notice = await attacker.next(); notice.type !== "last"; notice = await attacker.next()) {
    assert.equal(notice.code, "mailbox_full");
    refused++;
  }
  assert.equal(server.server.storedMessages, count - refused);
  assert((count - refused) * text.length <= 4 * MiB);
  assert((count - refused + 2) * text.length > 4 * MiB);

  const alice = await TestClient.register(server.url, "alice");
  alice.send({ target_id: "bob", type: "offer", text });
  alice.send({ target_id: "absent 0", type: "offer" });
  alice.send({ target_id: "alice", type: "last" });
  assert.equal((await alice.next()).type, "last");
  const bob = await TestClient.register(server.url, "bob");
  assert.equal((await bob.next()).type, "offer");
  await Promise.all([alice.close(), bob.close()]);
});

Deno.test("one caller's candidates do not cost another caller's offer", async () => {
  await using server = startServer();
  const chatty = await TestClient.register(server.url, "chatty");
  for (let n = 0; n < 70; n++) chatty.send({ target_id: "callee", type: "candidate", n });
  for (let n = 0; n < 6; n++) assert.equal((await chatty.next()).code, "mailbox_full");
  const caller = await TestClient.register(server.url, "caller");
  caller.send({ target_id: "callee", type: "offer" });
  caller.send({ target_id: "caller", type: "last" });
  assert.equal((await caller.next()).type, "last");
  const callee = await TestClient.register(server.url, "callee");
  for (let n = 0; n < 64; n++) assert.equal((await callee.next()).n, n);
  assert.equal((await callee.next()).from, "caller");
  await Promise.all([chatty, caller, callee].map((client) => client.close()));
});
