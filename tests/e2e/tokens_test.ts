/** Tokens over real sockets, and messages that come while a token is checked (protocol.md, Tokens). */

import assert from "node:assert/strict";
import { type Authenticator, createAuthenticator, type Grant } from "../../lib/auth/tokens.ts";
import { ProtocolError } from "../../lib/relay/vocabulary.ts";
import { BareClient } from "../helpers/bare_client.ts";
import { type Message, TestClient } from "../helpers/client.ts";
import { FakeClock } from "../helpers/clock.ts";
import { assertNothing, refusal } from "../helpers/expect.ts";
import { KeyHost, newKey, signWith } from "../helpers/key_host.ts";
import { startServer } from "../helpers/server.ts";
import { SECRET, sign } from "../helpers/tokens.ts";

const withSecret = async () => ({ authenticator: await createAuthenticator([SECRET], undefined) });

Deno.test("without a good token no client registers", async () => {
  await using server = startServer({}, await withSecret());
  const tokens = [
    ...[undefined, null, 5, true, {}, [await sign({})]],
    ...["", "x", "x.y.z", `${await sign({})}x`, `Bearer ${await sign({})}`],
    ...[await sign({ exp: 1 }), await sign({ nbf: 9e9 }), await sign({ sub: 5 })],
  ];
  for (const token of tokens) {
    assert.deepEqual(await refusal(server.url, "alice", { token }), ["unauthorized", 1008]);
  }
});

Deno.test("the error says what is wrong with the token", async () => {
  await using server = startServer({}, await withSecret());
  const cases = [
    [undefined, "A token is needed to register."],
    [5, "token must be a string, not 5."],
    ["x", "The token is malformed or badly signed."],
    [await sign({ exp: 1 }), "The token has expired."],
    [await sign({ sub: "bob" }), 'The token does not allow the ID "alice", only "bob".'],
    [await sign({ room: "lobby" }), "The token does not allow registering without a room."],
  ];
  for (const [token, message] of cases) {
    const client = await TestClient.connect(server.url);
    client.send({ type: "register", client_id: "alice", token });
    assert.equal((await client.next()).message, message);
    await client.closed;
  }
});

Deno.test("a token allows its sub and its rooms, and nothing else", async () => {
  await using server = startServer({}, await withSecret());
  const alice = await sign({ sub: "alice" });
  const lobby = await sign({ room: "lobby" });
  const rooms = await sign({ sub: "alice", room: ["lobby", "attic"] });
  const nowhere = await sign({ room: [] });
  const noName = await sign({ room: "" });
  const forbidden: Message[] = [
    { client_id: "bob", token: alice },
    { client_id: "Alice", token: alice },
    { client_id: "alice", token: lobby },
    { client_id: "alice", token: lobby, room: null },
    { client_id: "alice", token: lobby, room: "attic" },
    { client_id: "alice", token: rooms },
    { client_id: "alice", token: rooms, room: "cellar" },
    { client_id: "bob", token: rooms, room: "lobby" },
    { client_id: "alice", token: nowhere },
    { client_id: "alice", token: nowhere, room: "lobby" },
    { client_id: "alice", token: noName },
  ];
  for (const { client_id, ...more } of forbidden) {
    assert.deepEqual(await refusal(server.url, client_id as string, more), ["forbidden", 1008]);
  }
  await TestClient.register(server.url, "alice", { token: alice });
  await TestClient.register(server.url, "alice", { token: alice, room: "any" });
  await TestClient.register(server.url, "bob", { token: lobby, room: "lobby" });
  await TestClient.register(server.url, "alice", { token: rooms, room: "attic" });
  await TestClient.register(server.url, "carol", { token: await sign({}) });
});

Deno.test("the answer is that of the core protocol, and shows no token", async () => {
  await using server = startServer({}, await withSecret());
  const client = await TestClient.register(server.url, "alice", { token: await sign({}) });
  assert.deepEqual(client.registered, { type: "registered", client_id: "alice" });
});

Deno.test("a token may come as a member, as a header or as a query parameter, in this order", async () => {
  await using server = startServer({}, await withSecret());
  const good = await sign({ sub: "alice" });
  const bad = await sign({ sub: "bob" });
  async function register(member: unknown, header?: string, query?: string) {
    const url = `${server.url}/any/path${query === undefined ? "" : `?a=b&token=${query}`}`;
    using client = await BareClient.connect(url, header ? { authorization: header } : {});
    await client.send({ type: "register", client_id: "alice", token: member });
    const { type, code = type } = await client.next();
    return code;
  }
  assert.equal(await register(good), "registered");
  assert.equal(await register(undefined, `Bearer ${good}`), "registered");
  assert.equal(await register(undefined, `bearer  ${good} `), "registered");
  assert.equal(await register(undefined, undefined, good), "registered");
  assert.equal(await register(null, `Bearer ${good}`), "registered");
  assert.equal(await register(good, `Bearer ${bad}`, bad), "registered");
  assert.equal(await register(bad, `Bearer ${good}`, good), "forbidden");
  assert.equal(await register("", `Bearer ${good}`, good), "unauthorized");
  assert.equal(await register(undefined, `Bearer ${bad}`, good), "forbidden");
  assert.equal(await register(undefined, `Basic ${good}`), "unauthorized");
  assert.equal(await register(undefined, "Bearer"), "unauthorized");
  assert.equal(await register(undefined, `Basic ${bad}`, good), "registered");
});

Deno.test("a server without tokens ignores them", async () => {
  await using server = startServer();
  for (const token of ["x", 5, null, {}]) {
    await TestClient.register(`${server.url}/?token=x`, "alice", { token });
  }
});

/** An authenticator whose answer the test gives. */
class SlowAuthenticator implements Authenticator {
  readonly #grant = Promise.withResolvers<Grant>();
  readonly #asked = Promise.withResolvers<void>();
  /** Resolves when a token is to be checked. */
  readonly asked = this.#asked.promise;

  check(token: string | null): Promise<Grant> {
    if (token === "quick") return Promise.resolve(ANYTHING);
    this.#asked.resolve();
    return this.#grant.promise;
  }

  grant = () => this.#grant.resolve(ANYTHING);
  refuse = () => this.#grant.reject(new ProtocolError("unauthorized", "No."));
}
const ANYTHING: Grant = { clientId: null, rooms: null };

Deno.test("messages that come while the token is being checked wait, in order", async () => {
  const authenticator = new SlowAuthenticator();
  await using server = startServer({}, { authenticator });
  const bob = await TestClient.register(server.url, "bob", { token: "quick" });
  const alice = await TestClient.connect(server.url);
  alice.send({ type: "register", client_id: "alice" });
  for (let n = 0; n < 64; n++) alice.send({ n, target_id: "bob" });
  await authenticator.asked;
  authenticator.grant();
  assert.equal((await alice.next()).type, "registered");
  for (let n = 0; n < 64; n++) assert.deepEqual(await bob.next(), { n, from: "alice" });
  alice.send({ n: 64, target_id: "bob" });
  assert.deepEqual(await bob.next(), { n: 64, from: "alice" });
});

Deno.test("a message that does not fit while the token is checked gets an error, and the rest goes on", async () => {
  for (const text of ["", "x".repeat(60_000)]) {
    const authenticator = new SlowAuthenticator();
    await using server = startServer({}, { authenticator });
    const bob = await TestClient.register(server.url, "bob", { token: "quick" });
    const alice = await TestClient.connect(server.url);
    alice.send({ type: "register", client_id: "alice" });
    const fits = text === "" ? 64 : 4;
    for (let n = 0; n < fits + 3; n++) alice.send({ n, target_id: "bob", text });
    for (let n = 0; n < 3; n++) {
      const { code, target_id } = await alice.next();
      assert.deepEqual([code, target_id], ["rate_limited", "bob"]);
    }
    authenticator.grant();
    assert.equal((await alice.next()).type, "registered");
    for (let n = 0; n < fits; n++) assert.equal((await bob.next()).n, n);
    alice.send({ type: "last", target_id: "bob" });
    assert.equal((await bob.next()).type, "last");
  }
});

Deno.test("a client that floods while its token is checked is closed", async () => {
  await using server = startServer({}, { authenticator: new SlowAuthenticator() });
  const client = await TestClient.connect(server.url);
  client.send({ type: "register", client_id: "alice" });
  for (let n = 0; n < 64 + 500; n++) client.send({ n });
  for (let n = 0; n < 500; n++) assert.equal((await client.next()).code, "rate_limited");
  assert.deepEqual(await client.ending(), [1008, "rate_limited"]);
});

Deno.test("a message that is wrong in itself closes while the token is being checked", async () => {
  await using server = startServer({ maxMessageSizeBytes: "1KiB" }, {
    authenticator: new SlowAuthenticator(),
  });
  const cases = [
    [Uint8Array.of(0xff), 1008, "invalid_message"],
    ["x".repeat(1025), 1009, "message_too_large"],
  ] as const;
  for (const [message, closeCode, why] of cases) {
    const client = await TestClient.connect(server.url);
    client.send({ type: "register", client_id: "alice" });
    client.send(message);
    assert.equal((await client.next()).code, why);
    assert.deepEqual(await client.ending(), [closeCode, why]);
  }
});

Deno.test("the register timeout goes on while the token is being checked", async () => {
  const authenticator = new SlowAuthenticator();
  await using server = startServer({ registerTimeoutMs: "2s" }, { authenticator });
  assert.deepEqual(await refusal(server.url, "alice"), ["register_timeout", 1008]);
  authenticator.grant();
  await TestClient.register(server.url, "bob", { token: "quick" });
  assert.ok(!server.events.lines.includes("registered alice"));
});

Deno.test("a client that disconnects while its token is checked is neither registered nor refused", async () => {
  for (const answer of ["grant", "refuse"] as const) {
    const authenticator = new SlowAuthenticator();
    await using server = startServer({}, { authenticator });
    const client = await TestClient.connect(server.url);
    client.send({ type: "register", client_id: "alice", resume: true });
    client.send({ type: "offer", target_id: "bob" });
    await authenticator.asked;
    await client.close(1000);
    await server.events.happened("connection_closed");
    authenticator[answer]();
    const bob = await TestClient.register(server.url, "bob", { token: "quick", presence: true });
    assert.deepEqual(bob.registered.peers, []);
    assert.deepEqual(server.events.lines, [
      "connection_opened",
      "connection_closed",
      "connection_opened",
      "registered bob",
    ]);
  }
});

Deno.test("a refused token's client is closed, and what it had sent is not forwarded", async () => {
  const authenticator = new SlowAuthenticator();
  await using server = startServer({}, { authenticator });
  const bob = await TestClient.register(server.url, "bob", { token: "quick" });
  const client = await TestClient.connect(server.url);
  client.send({ type: "register", client_id: "alice" });
  client.send({ type: "offer", target_id: "bob" });
  await authenticator.asked;
  authenticator.refuse();
  assert.equal((await client.next()).code, "unauthorized");
  assert.equal((await client.closed).code, 1008);
  await assertNothing(bob, "bob");
});

Deno.test("a key set whose host does not answer refuses the tokens that need it, and delays no other", async () => {
  const [known, unknown] = [await newKey("ES256", "known"), await newKey("ES256", "unknown")];
  await using host = new KeyHost([known]);
  const clock = new FakeClock();
  const authenticator = await createAuthenticator([SECRET], {
    url: host.url,
    clock,
    onFailed() {},
  });
  await using server = startServer({}, { authenticator });
  const first = await TestClient.register(server.url, "1", { token: await signWith(known) });
  const release = host.hold();
  const asked = host.asked();
  clock.advance(1000);
  const slow = refusal(server.url, "2", { token: await signWith(unknown) });
  await asked;
  const third = await TestClient.register(server.url, "3", { token: await signWith(known) });
  await TestClient.register(server.url, "4", { token: await sign({}) });
  first.send({ type: "offer", target_id: "3" });
  assert.deepEqual(await third.next(), { from: "1", type: "offer" });
  clock.advance(4000);
  assert.deepEqual(await slow, ["unauthorized", 1008]);
  release();
});

Deno.test("a second register needs no token", async () => {
  await using server = startServer({}, await withSecret());
  const alice = await TestClient.register(server.url, "alice", { token: await sign({}) });
  alice.send({ type: "register", client_id: "alice" });
  assert.deepEqual(await alice.next(), alice.registered);
});
