/** The promises to clients of y-webrtc and Trystero, over real sockets: what keeps them connected, limits, and what operators see. */

import assert from "node:assert/strict";
import { createAuthenticator } from "../../lib/auth/tokens.ts";
import { startServerWithAdmin } from "../helpers/admin.ts";
import { TestClient } from "../helpers/client.ts";
import { clientsAt, untilEmpty } from "../helpers/health.ts";
import { ServingProgram } from "../helpers/program.ts";
import { answerToUpgrade, RawPeer } from "../helpers/raw_peer.ts";
import { startServer } from "../helpers/server.ts";
import { SECRET, sign } from "../helpers/tokens.ts";

const PING = '{"type":"ping"}';
const PONG = '{"type":"pong"}';
const subscribe = (...topics: unknown[]) => ({ type: "subscribe", topics });

/** Connects and sends messages; they have been handled once it is here. */
async function joinYWebrtc(url: string, ...messages: unknown[]): Promise<TestClient> {
  const client = await TestClient.connect(url);
  for (const message of messages) client.send(message as string);
  await assertAlive(client);
  return client;
}

/** Asserts that the connection is open, and that nothing came meanwhile. */
async function assertAlive(client: TestClient): Promise<void> {
  client.send(PING);
  assert.equal(await client.nextText(), PONG);
}

/** A client that has subscribed to a topic, which it has shown to itself. */
async function joinTrystero(url: string, topic: string): Promise<TestClient> {
  const client = await TestClient.connect(url);
  client.send({ type: "subscribe", topic });
  client.send({ type: "publish", topic, payload: "own" });
  assert.equal(await client.nextText(), JSON.stringify({ topic, payload: "own" }));
  return client;
}

Deno.test("the first message decides the dialect, on any path", async () => {
  await using server = startServer({ dialects: "all" });
  for (const path of ["", "/", "/room", "/a/b", "/a/b/?room=c", "/peerjs", "/peerjs?token=t"]) {
    const url = `${server.url}${path}`;
    for (
      const first of [
        PING,
        subscribe(),
        subscribe("a"),
        { type: "unsubscribe", topics: ["a"] },
        { type: "subscribe", topics: 5, topic: "a" },
        { type: "publish", topic: "a", data: 1 },
        { type: "publish" },
      ]
    ) {
      const client = await TestClient.connect(url);
      client.send(first);
      if (first === PING) assert.equal(await client.nextText(), PONG);
      await assertAlive(client);
      await client.close();
    }
    await (await joinTrystero(url, "a")).close();
    for (
      const first of [{ type: "unsubscribe", topic: "a" }, {
        type: "publish",
        topic: "a",
        payload: null,
      }]
    ) {
      const client = await TestClient.connect(url);
      client.send(first);
      client.send({ type: "subscribe", topic: "a" });
      client.send({ type: "publish", topic: "a", payload: 1 });
      assert.equal(await client.nextText(), '{"topic":"a","payload":1}');
      await client.close();
    }
    const core = await TestClient.register(url, "core");
    await core.close(1000);
  }
});

Deno.test("a first message of a dialect that is off, or of none, is not_registered", async () => {
  const yWebrtc = [PING, subscribe("a"), { type: "publish", topic: "a" }];
  const trystero = [{ type: "subscribe", topic: "a" }, { type: "publish", topic: "a", payload: 1 }];
  const none = [{ type: "subscribe" }, { type: "unsubscribe", topic: 5 }, { type: "pong" }];
  for (
    const [dialects, refused] of [
      ["off", [...yWebrtc, ...trystero, ...none]],
      ["trystero", [...yWebrtc, ...none]],
      ["y-webrtc", [trystero[0], ...none]],
      ["peerjs,libdatachannel", [...yWebrtc, ...trystero]],
      ["all", none],
    ] as const
  ) {
    await using server = startServer({ dialects });
    for (const first of refused) {
      const client = await TestClient.connect(server.url);
      client.send(first as string);
      assert.equal((await client.next()).code, "not_registered");
      assert.deepEqual(await client.ending(), [1008, "not_registered"], JSON.stringify(first));
    }
  }
});

Deno.test("y-webrtc's client stays connected whatever it sends, and however often", async () => {
  await using server = startServer({
    rateLimitPerSecond: "1",
    rateBurst: "20",
    maxMessageSizeBytes: "1KiB",
  });
  const client = await joinYWebrtc(server.url, subscribe("a"));
  for (const message of ["", "{", "[]", "null", '{"type":5}', '{"type":"register"}', '{"a":1}{']) {
    client.send(message);
  }
  client.send(Uint8Array.of(0xff));
  client.send(new TextEncoder().encode(PING));
  assert.equal(await client.nextText(), PONG);
  for (let n = 0; n < 400; n++) client.send({ type: "publish", topic: "a", n });
  const last = await TestClient.connect(server.url);
  last.send({ type: "publish", topic: "a", last: true });
  const numbers: unknown[] = [];
  for (let message = await client.next(); !message.last; message = await client.next()) {
    numbers.push(message.n);
  }
  assert(numbers.length > 0 && numbers.length < 21, `${numbers.length}`);
  assert.deepEqual(numbers, numbers.map((_, n) => n));
  assert.equal(await clientsAt(server.httpUrl), 2);
  await Promise.all([client.close(), last.close()]);
});

Deno.test("limits close it as in the core, without a message before", async () => {
  await using server = startServer({
    rateLimitPerSecond: "1",
    rateBurst: "1",
    maxMessageSizeBytes: "1KiB",
  });
  for (
    const first of [PING, { type: "unsubscribe", topic: "a" }, { type: "unsubscribe", topics: [] }]
  ) {
    const large = await TestClient.connect(server.url);
    large.send(first);
    if (first === PING) assert.equal(await large.nextText(), PONG);
    large.send({ type: "publish", topic: "a", data: "é".repeat(512) });
    const { code, reason } = await large.closed;
    assert.deepEqual([code, reason, large.unread], [1009, "message_too_large", 0]);
    const eager = await TestClient.connect(server.url);
    for (let n = 0; n <= 600; n++) eager.send(first);
    const end = await eager.closed;
    assert.deepEqual([end.code, end.reason], [1008, "rate_limited"]);
    assert(eager.unread < 20, `${eager.unread}`);
  }
});

Deno.test("a subscriber that does not read is closed with 1013, and holds up no other", async () => {
  const limits = { maxBufferedBytes: "64KiB", rateLimitPerSecond: "0" };
  await using server = startServerWithAdmin(limits);
  using stuck = await RawPeer.open(server.url);
  await stuck.sendText(JSON.stringify(subscribe("a")));
  const reader = await joinYWebrtc(server.url, subscribe("a"));
  const data = "x".repeat(100_000);
  let n = 0;
  for (; server.events.of("closing").length === 0; n++) {
    reader.send({ type: "publish", topic: "a", n, data });
    let message = await reader.next();
    while (message.type !== "publish") message = await reader.next();
    assert.equal(message.n, n);
  }
  assert.deepEqual(server.events.of("closing").map(({ reason }) => reason), ["overloaded"]);
  await reader.close();
});

Deno.test("pings of the server keep a client that only listens; one that does not answer is dropped", async () => {
  await using server = startServer({ idleTimeoutMs: "1s" });
  const listener = await joinYWebrtc(server.url, subscribe("a"));
  using gone = await RawPeer.open(server.url);
  await gone.sendText(JSON.stringify(subscribe("a")));
  await gone.readClose(); // it answers no ping
  const publisher = await joinYWebrtc(server.url);
  publisher.send({ type: "publish", topic: "a" });
  assert.equal(await listener.nextText(), '{"type":"publish","topic":"a","clients":1}');
  await Promise.all([listener.close(), publisher.close()]);
});

Deno.test("origins and the connection limits hold for them", async () => {
  await using server = startServer({ allowOrigins: ["https://app.example"], maxConnections: "1" });
  const origin = "https://other.example";
  assert.match(await answerToUpgrade(server.url, { origin }), /^HTTP\/1\.1 403 /);
  const client = await joinYWebrtc(server.url, subscribe("a"));
  assert.match(await answerToUpgrade(server.url), /^HTTP\/1\.1 503 /);
  assert.equal(await clientsAt(server.httpUrl), 1);
  await client.close();
  await untilEmpty(server.httpUrl);
});

Deno.test("the token in the URL lists the topics; a client without a good one stays", async () => {
  const authenticator = await createAuthenticator([SECRET], undefined);
  await using server = startServer({ authSecrets: [SECRET], dialects: "all" }, { authenticator });
  const urlFor = async (claims: object, path = "/") =>
    `${server.url}${path}?token=${await sign({ ...claims })}`;
  const all = await joinYWebrtc(await urlFor({ sub: "x" }), subscribe("lobby", "attic"));
  const one = await joinYWebrtc(await urlFor({ room: "lobby" }), subscribe("lobby", "attic"));
  for (const query of ["", "?token=", "?token=t", `?token=${await sign({ exp: 1 })}`]) {
    for (const path of ["/", "/room"]) {
      const none = await joinYWebrtc(server.url + path + query, subscribe("lobby"));
      none.send({ type: "publish", topic: "lobby", from: "none" });
      await assertAlive(none);
      await none.close();
    }
  }
  one.send({ type: "publish", topic: "attic", from: "one" });
  all.send({ type: "publish", topic: "lobby", from: "all" });
  assert.equal((await one.next()).from, "all");
  assert.equal((await all.next()).from, "all");
  const trystero = await joinTrystero(await urlFor({ room: "lobby" }, "/any/path"), "lobby");
  await Promise.all([all, one, trystero].map((client) => client.close()));
});

Deno.test("operators see them by their dialect, and can disconnect one", async () => {
  await using server = startServerWithAdmin();
  const y = await joinYWebrtc(server.url, subscribe("a", "__proto__"));
  const t = await joinTrystero(server.url, "a");
  y.send({ type: "publish", topic: "__proto__", data: 1 });
  const wanted = '{"type":"publish","topic":"__proto__","data":1,"clients":1}';
  assert.equal(await y.nextText(), wanted);
  const { clients } = await (await fetch(`${server.adminUrl}/api/clients?sort=dialect`)).json();
  const shown = clients.map(({ room, dialect }: Record<string, unknown>) => [room, dialect]);
  assert.deepEqual(shown, [[null, "trystero"], [null, "y-webrtc"]]);
  const metrics = (await (await fetch(`${server.adminUrl}/metrics`)).text()).split("\n");
  for (
    const line of [
      'signalbox_dialect_clients{dialect="y-webrtc"} 1',
      'signalbox_dialect_clients{dialect="trystero"} 1',
      'signalbox_messages_total{kind="broadcast"} 2',
      "signalbox_clients 2",
    ]
  ) assert(metrics.includes(line), line);
  const remove = async (query: string) => {
    const url = `${server.adminUrl}/api/clients/${clients[1].id}${query}`;
    const response = await fetch(url, { method: "DELETE" });
    await response.body?.cancel();
    return response.status;
  };
  assert.deepEqual([await remove(""), await remove("?dialect=trystero")], [404, 404]);
  assert.equal(await remove("?dialect=y-webrtc"), 204);
  const { code, reason } = await y.closed;
  assert.deepEqual([code, reason, y.unread], [1008, "disconnected", 0]);
  await t.close();
});

Deno.test("the log has the core's lines, and neither topics, payloads nor tokens", async () => {
  await using program = await ServingProgram.start(["--log-level", "debug"]);
  const y = await joinYWebrtc(`${program.url}/?token=hidden`, subscribe("hidden"));
  y.send({ type: "publish", topic: "hidden", data: "hidden" });
  await y.next();
  const t = await joinTrystero(program.url, "hidden");
  await program.logged("✅ Client registered: ", 2);
  await program.logged("📢 Message broadcast to 1 clients: publish", 2);
  await Promise.all([y.close(), t.close()]);
  await program.logged("❌ Client unregistered: ", 2);
  assert.doesNotMatch(program.log, /hidden/);
  const left = await TestClient.connect(program.url);
  left.send(subscribe("a"));
  program.signal("SIGTERM");
  assert.deepEqual(await left.ending(), [1012, "shutting_down"]);
});
