/** Resume over real sockets (protocol.md, Resume). */

import assert from "node:assert/strict";
import { createAuthenticator } from "../../lib/auth/tokens.ts";
import { BareClient } from "../helpers/bare_client.ts";
import { type Frame, TestClient } from "../helpers/client.ts";
import { RecordedEvents } from "../helpers/events.ts";
import { assertNothing, refusal } from "../helpers/expect.ts";
import { startServer } from "../helpers/server.ts";
import { SECRET, sign } from "../helpers/tokens.ts";

const SECRET_FORM = /^[A-Za-z0-9_-]{32}$/;

function setUp(given: Parameters<typeof startServer>[0] = {}) {
  const events = new RecordedEvents();
  const server = startServer(given, { emit: events.emit });

  /** A client that has registered with `resume`, and has lost its connection. */
  async function lose(clientId: string, more: Frame = {}) {
    using client = await BareClient.register(server.url, clientId, { resume: true, ...more });
    client.cut();
    await events.happened(`detached ${clientId}`);
    return client.registered.resume as string;
  }

  return { server, events, lose };
}

const ID_TAKEN = ["id_taken", 4409];
const ID_HELD = ["id_held", 1013];

Deno.test("registered has a secret and resumed, if the client asked for a resume", async () => {
  const { server } = setUp();
  await using _ = server;
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
  const { server, events } = setUp({ resumeTtlMs: "0" });
  await using _ = server;
  using alice = await BareClient.register(server.url, "alice", { resume: true });
  assert.deepEqual(alice.registered, { type: "registered", client_id: "alice" });
  alice.cut();
  await events.happened("unregistered alice");
  assert.ok(!events.lines.includes("detached alice"));
});

Deno.test("a lost ID is taken back with its secret, any number of times", async () => {
  const { server, events, lose } = setUp();
  await using _ = server;
  const resume = await lose("alice");
  for (let n = 0; n < 3; n++) {
    using back = await BareClient.register(server.url, "alice", { resume });
    assert.deepEqual(back.registered, {
      type: "registered",
      client_id: "alice",
      resume,
      resumed: true,
    });
    events.lines.length = 0;
    back.cut();
    await events.happened("detached alice");
  }
});

Deno.test("the secret takes the ID from a connection that still looks alive, which gets a notice", async () => {
  for (const onDuplicate of ["replace", "reject"]) {
    const { server } = setUp({ onDuplicate });
    await using _ = server;
    const older = await TestClient.register(server.url, "alice", { resume: true });
    const { resume } = older.registered;
    const newer = await TestClient.register(server.url, "alice", { resume });
    assert.deepEqual([newer.registered.resumed, newer.registered.resume], [true, resume]);
    assert.equal((await older.next()).code, "replaced");
    const { code, reason } = await older.closed;
    assert.deepEqual([code, reason], [4409, "replaced"]);
    await assertNothing(newer, "alice");
  }
});

Deno.test("no other client gets the ID, detached or not, under any duplicate rule", async () => {
  for (const onDuplicate of ["replace", "reject"]) {
    const { server, lose } = setUp({ onDuplicate });
    await using _ = server;
    const secret = await lose("lost");
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
  const { server } = setUp();
  await using _ = server;
  const older = await TestClient.register(server.url, "alice");
  const newer = await TestClient.register(server.url, "alice", { resume: "made up" });
  assert.equal((await older.next()).code, "replaced");
  assert.equal(newer.registered.resumed, false);
  assert.notEqual(newer.registered.resume, "made up");
  assert.deepEqual(await refusal(server.url, "alice"), ID_TAKEN);
});

Deno.test("when its time is up an ID is free, and its secret is no longer known", async () => {
  const { server, events, lose } = setUp({ resumeTtlMs: "200ms" });
  await using _ = server;
  const resume = await lose("alice");
  await events.happened("unregistered alice");
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
    const { server, events } = setUp(options);
    await using _ = server;
    using alice = await BareClient.register(server.url, "alice", { resume: true });
    await bring(alice);
    await events.happened(isHeld ? "detached alice" : "unregistered alice");
    assert.equal(events.lines.includes("detached alice"), isHeld);
    if (isHeld) {
      assert.deepEqual(await refusal(server.url, "alice"), ID_HELD);
    } else {
      const next = await TestClient.register(server.url, "alice");
      await next.close(1000);
    }
  });
}

Deno.test("the ID of a client that is dropped because it does not read is held", async () => {
  const { server, events } = setUp({ maxBufferedBytes: "64KiB", rateLimitPerSecond: "0" });
  await using _ = server;
  using alice = await BareClient.register(server.url, "alice", { resume: true });
  const bob = await TestClient.register(server.url, "bob");
  const text = "x".repeat(60_000);
  while (!events.lines.includes("detached alice")) {
    for (let n = 0; n < 50; n++) bob.send({ target_id: "alice", text });
    bob.send({ type: "last", target_id: "bob" });
    while ((await bob.next()).type !== "last");
  }
  const { resume } = alice.registered;
  const back = await TestClient.register(server.url, "alice", { resume });
  assert.equal(back.registered.resumed, true);
});

Deno.test("the ID of a client that answers no pings is held", async () => {
  const { server, events } = setUp({ idleTimeoutMs: "500ms" });
  await using _ = server;
  using alice = await BareClient.register(server.url, "alice", { resume: true });
  await events.happened("connection_closed");
  assert.ok(events.lines.includes("detached alice"));
  assert.ok(!events.lines.includes("unregistered alice"));
  assert.equal(alice.registered.resumed, false);
});

Deno.test("while a client is away nothing for it is lost, and it goes on in order", async () => {
  const { server, lose } = setUp();
  await using _ = server;
  const bob = await TestClient.register(server.url, "bob");
  const resume = await lose("alice");
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
  const { server, lose } = setUp({ mailboxTtlMs: "100ms" });
  await using _ = server;
  const bob = await TestClient.register(server.url, "bob");
  const resume = await lose("alice");
  bob.send({ type: "offer", target_id: "alice" });
  const { code, target_id } = await bob.next();
  assert.deepEqual([code, target_id], ["target_not_found", "alice"]);
  const back = await TestClient.register(server.url, "alice", { resume });
  assert.equal(back.registered.resumed, true);
  await assertNothing(back, "alice");
});

Deno.test("a detached sender is notified of a failed message when it resumes", async () => {
  const { server, events } = setUp({ mailboxTtlMs: "100ms" });
  await using _ = server;
  using alice = await BareClient.register(server.url, "alice", { resume: true });
  await alice.send({ type: "offer", target_id: "bob" });
  await events.happened("stored alice bob");
  alice.cut();
  await events.happened("error_sent target_not_found");
  assert.ok(events.lines.includes("detached alice"));
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
    const events = new RecordedEvents();
    await using server = startServer({ onDuplicate }, { emit: events.emit, authenticator });
    const refused = (more: Frame) => refusal(server.url, "alice", more);
    using alice = await BareClient.register(server.url, "alice", { resume: true, token });
    const { resume } = alice.registered;
    alice.cut();
    await events.happened("detached alice");
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
