/** Resume over real sockets (protocol.md, Resume). */

import assert from "node:assert/strict";
import { createAuthenticator } from "../../lib/auth/tokens.ts";
import { BareClient } from "../helpers/bare_client.ts";
import { type Message, TestClient } from "../helpers/client.ts";
import { assertNothing, refusal } from "../helpers/expect.ts";
import { startServer, type TestServer } from "../helpers/server.ts";
import { SECRET, sign } from "../helpers/tokens.ts";

const SECRET_FORM = /^[A-Za-z0-9_-]{32}$/;

/** Registers a client with `resume`, cuts its connection, and returns the secret. */
async function lose(server: TestServer, clientId: string): Promise<string> {
  using client = await BareClient.register(server.url, clientId, { resume: true });
  client.cut();
  await server.events.happened(`detached ${clientId}`);
  return client.registered.resume as string;
}

const ID_TAKEN = ["id_taken", 4409];
const ID_HELD = ["id_held", 1013];

Deno.test("registered has a secret and resumed, if the client asked for a resume", async () => {
  await using server = startServer();
  const secrets = new Set<unknown>();
  for (const resume of [true, "", "unknown", "x".repeat(10_000), "\ud800"]) {
    const client = await TestClient.register(server.url, `client ${secrets.size}`, { resume });
    const { resume: secret, ...rest } = client.registered;
    assert.deepEqual(Object.keys(rest), ["type", "client_id", "resumed"]);
    assert.equal(rest.resumed, false);
    assert.match(secret as string, SECRET_FORM);
    secrets.add(secret);
  }
  assert.equal(secrets.size, 5);
  for (const resume of [undefined, false, null]) {
    const client = await TestClient.register(server.url, "alice", { resume });
    assert.deepEqual(client.registered, { type: "registered", client_id: "alice" });
  }
});

Deno.test("with the resume time 0 registered has neither member, and nothing is held", async () => {
  await using server = startServer({ resumeTtlMs: "0" });
  using alice = await BareClient.register(server.url, "alice", { resume: true });
  assert.deepEqual(alice.registered, { type: "registered", client_id: "alice" });
  alice.cut();
  await server.events.happened("unregistered alice");
  assert.ok(!server.events.lines.includes("detached alice"));
});

Deno.test("a lost ID is taken back with its secret, any number of times", async () => {
  await using server = startServer();
  const resume = await lose(server, "alice");
  for (let n = 0; n < 3; n++) {
    using back = await BareClient.register(server.url, "alice", { resume });
    assert.deepEqual(back.registered, {
      type: "registered",
      client_id: "alice",
      resume,
      resumed: true,
    });
    server.events.lines.length = 0;
    back.cut();
    await server.events.happened("detached alice");
  }
});

Deno.test("the secret takes the ID from a connection that still looks alive, which gets a notice", async () => {
  for (const onDuplicate of ["replace", "reject"]) {
    await using server = startServer({ onDuplicate });
    const older = await TestClient.register(server.url, "alice", { resume: true });
    const { resume } = older.registered;
    const newer = await TestClient.register(server.url, "alice", { resume });
    assert.deepEqual([newer.registered.resumed, newer.registered.resume], [true, resume]);
    assert.equal((await older.next()).code, "replaced");
    assert.deepEqual(await older.ending(), [4409, "replaced"]);
    await assertNothing(newer, "alice");
  }
});

Deno.test("no other client gets the ID, detached or not, under any duplicate rule", async () => {
  for (const onDuplicate of ["replace", "reject"]) {
    await using server = startServer({ onDuplicate });
    const secret = await lose(server, "lost");
    const alive = await TestClient.register(server.url, "alive", { resume: true });
    const other = await TestClient.register(server.url, "other", { resume: true });
    const foreign = other.registered.resume as string;
    for (const clientId of ["lost", "alive"]) {
      const right = clientId === "lost" ? secret : alive.registered.resume as string;
      const attempts = [
        ...[undefined, true, false, null, ""],
        ...[foreign, right.slice(1), right.slice(0, -1), `${right}=`, `${right} `],
        ...[right.toUpperCase(), `${right}\0`, "\ud800".repeat(32), "x".repeat(32)],
      ];
      for (const resume of attempts) {
        const expected = clientId === "lost" ? ID_HELD : ID_TAKEN;
        assert.deepEqual(await refusal(server.url, clientId, { resume }), expected, `${resume}`);
      }
    }
    await assertNothing(alive, "alive");
    const back = await TestClient.register(server.url, "lost", { resume: secret });
    assert.equal(back.registered.resumed, true);
  }
});

Deno.test("an ID registered without resume goes by the duplicate rule alone", async () => {
  await using server = startServer();
  const older = await TestClient.register(server.url, "alice");
  const newer = await TestClient.register(server.url, "alice", { resume: "made up" });
  assert.equal((await older.next()).code, "replaced");
  assert.equal(newer.registered.resumed, false);
  assert.notEqual(newer.registered.resume, "made up");
  assert.deepEqual(await refusal(server.url, "alice"), ID_TAKEN);
});

Deno.test("when its time is up an ID is free, and its secret is no longer known", async () => {
  await using server = startServer({ resumeTtlMs: "200ms" });
  const resume = await lose(server, "alice");
  await server.events.happened("unregistered alice");
  const next = await TestClient.register(server.url, "alice", { resume });
  assert.equal(next.registered.resumed, false);
  assert.notEqual(next.registered.resume, resume);
  assert.deepEqual(await refusal(server.url, "alice", { resume }), ID_TAKEN);
});

/** Ways in which a connection ends, and whether the ID is held then. */
const ENDS: readonly (readonly [string, boolean, (client: BareClient) => unknown])[] = [
  ["the client closes with 1000", false, (client) => client.close(1000)],
  ["the client closes without a code", false, (client) => client.close()],
  ["the client closes with 1001", true, (client) => client.close(1001)],
  ["the client closes with 4000", true, (client) => client.close(4000)],
  ["the connection is lost", true, (client) => client.cut()],
  ["the server closes with 1009", false, (client) => client.send({ text: "x".repeat(2000) })],
  ["the server closes with 1008", false, async (client) => {
    for (let n = 0; n < 501; n++) await client.send({ target_id: "alice" });
  }],
];

for (const [end, isHeld, bring] of ENDS) {
  Deno.test(`the ID is ${isHeld ? "held" : "freed at once"} when ${end}`, async () => {
    const options = { maxMessageSizeBytes: "1KiB", rateLimitPerSecond: "1", rateBurst: "1" };
    await using server = startServer(options);
    using alice = await BareClient.register(server.url, "alice", { resume: true });
    await bring(alice);
    await server.events.happened(isHeld ? "detached alice" : "unregistered alice");
    assert.equal(server.events.lines.includes("detached alice"), isHeld);
    if (isHeld) {
      assert.deepEqual(await refusal(server.url, "alice"), ID_HELD);
    } else {
      const next = await TestClient.register(server.url, "alice");
      await next.close(1000);
    }
  });
}

Deno.test("the ID of a client that is dropped because it does not read is held", async () => {
  await using server = startServer({ maxBufferedBytes: "64KiB", rateLimitPerSecond: "0" });
  using alice = await BareClient.register(server.url, "alice", { resume: true });
  const bob = await TestClient.register(server.url, "bob");
  const text = "x".repeat(60_000);
  while (!server.events.lines.includes("detached alice")) {
    for (let n = 0; n < 50; n++) bob.send({ target_id: "alice", text });
    bob.send({ type: "last", target_id: "bob" });
    while ((await bob.next()).type !== "last");
  }
  const { resume } = alice.registered;
  const back = await TestClient.register(server.url, "alice", { resume });
  assert.equal(back.registered.resumed, true);
});

Deno.test("the ID of a client that answers no pings is held", async () => {
  await using server = startServer({ idleTimeoutMs: "500ms" });
  using alice = await BareClient.register(server.url, "alice", { resume: true });
  await server.events.happened("connection_closed");
  assert.ok(server.events.lines.includes("detached alice"));
  assert.ok(!server.events.lines.includes("unregistered alice"));
  assert.equal(alice.registered.resumed, false);
});

Deno.test("while a client is away nothing for it is lost, and it goes on in order", async () => {
  await using server = startServer();
  const bob = await TestClient.register(server.url, "bob");
  const resume = await lose(server, "alice");
  for (let n = 0; n < 3; n++) bob.send({ n, target_id: "alice" });
  await assertNothing(bob, "bob");
  const back = await TestClient.connect(server.url);
  back.send({ type: "register", client_id: "alice", resume });
  bob.send({ n: 3, target_id: "alice" });
  assert.equal((await back.next()).type, "registered");
  const rest = [await back.next(), await back.next(), await back.next(), await back.next()];
  assert.deepEqual(rest.map(({ n }) => n), [0, 1, 2, 3]);
  back.send({ type: "answer", target_id: "bob" });
  assert.deepEqual(await bob.next(), { from: "alice", type: "answer" });
});

Deno.test("messages for a client that is away for longer than the mailbox time are reported", async () => {
  await using server = startServer({ mailboxTtlMs: "100ms" });
  const bob = await TestClient.register(server.url, "bob");
  const resume = await lose(server, "alice");
  bob.send({ type: "offer", target_id: "alice" });
  const { code, target_id } = await bob.next();
  assert.deepEqual([code, target_id], ["target_not_found", "alice"]);
  const back = await TestClient.register(server.url, "alice", { resume });
  assert.equal(back.registered.resumed, true);
  await assertNothing(back, "alice");
});

Deno.test("a detached sender is notified of a failed message when it resumes", async () => {
  await using server = startServer({ mailboxTtlMs: "100ms" });
  using alice = await BareClient.register(server.url, "alice", { resume: true });
  await alice.send({ type: "offer", target_id: "bob" });
  await server.events.happened("stored alice bob");
  alice.cut();
  await server.events.happened("error_sent target_not_found");
  assert.ok(server.events.lines.includes("detached alice"));
  const { resume } = alice.registered;
  const back = await TestClient.register(server.url, "alice", { resume });
  const { code, target_id } = await back.next();
  assert.deepEqual([code, target_id], ["target_not_found", "bob"]);
});

Deno.test("a token of that very ID takes it without the secret, which is void from then on", async () => {
  const authenticator = await createAuthenticator([SECRET], undefined);
  const token = await sign({ sub: "alice" });
  const tokenOfAnybody = await sign({});
  for (const onDuplicate of ["replace", "reject"]) {
    await using server = startServer({ onDuplicate }, { authenticator });
    const refused = (more: Message) => refusal(server.url, "alice", more);
    using alice = await BareClient.register(server.url, "alice", { resume: true, token });
    const { resume } = alice.registered;
    alice.cut();
    await server.events.happened("detached alice");
    assert.deepEqual(await refused({ token: tokenOfAnybody }), ID_HELD);
    const forbidden = await refused({ token: await sign({ sub: "bob" }), resume });
    assert.deepEqual(forbidden, ["forbidden", 1008]);
    assert.deepEqual(await refused({ resume }), ["unauthorized", 1008]);
    const next = await TestClient.register(server.url, "alice", { token, resume: true });
    assert.equal(next.registered.resumed, false);
    assert.notEqual(next.registered.resume, resume);
    assert.deepEqual(await refused({ token: tokenOfAnybody, resume }), ID_TAKEN);
    const newer = { token: tokenOfAnybody, resume: next.registered.resume };
    const last = await TestClient.register(server.url, "alice", newer);
    assert.equal(last.registered.resumed, true);
  }
});
