/** The core protocol, end to end over real sockets in one process. */

import assert from "node:assert/strict";
import type { Emit } from "../../lib/events.ts";
import { TestClient } from "../helpers/client.ts";
import { FakeClock } from "../helpers/clock.ts";
import { OPCODE } from "../helpers/frames.ts";
import { RawPeer, UPGRADE_HEADERS, upgradeRequest } from "../helpers/raw_peer.ts";
import { startServer } from "../helpers/server.ts";

// Registering.

Deno.test("a WebSocket may be opened on any path", async () => {
  await using server = startServer();
  for (const path of ["/", "/ws", "/a/b%20c?d=e", "/healthz"]) {
    const client = await TestClient.register(`${server.url}${path}`, path);
    assert.equal(client.registered.client_id, path);
  }
});

/** Messages after which a client that has not registered is closed, with code and reason. */
const BAD_STARTS = [
  ["nonsense", 1008, "invalid_message"],
  ['{"type":"offer"}', 1008, "not_registered"],
  ['{"type":"register","client_id":""}', 1008, "invalid_client_id"],
  [Uint8Array.of(1, 2, 3), 1008, "invalid_message"],
  [`"${"x".repeat(262_144)}"`, 1009, "message_too_large"],
] as const;

for (const [message, closeCode, reason] of BAD_STARTS) {
  Deno.test(`a client that starts badly reads ${reason}, and is closed with ${closeCode}`, async () => {
    await using server = startServer();
    const client = await TestClient.connect(server.url);
    client.send(message);
    const { type, code } = await client.next();
    assert.deepEqual([type, code], ["error", reason]);
    assert.deepEqual(await client.ending(), [closeCode, reason]);
  });
}

Deno.test("a newer connection takes the ID; the older one gets an error, and is closed", async () => {
  await using server = startServer();
  const [bob, older, newer] = await TestClient.registerAll(server.url, "bob", "alice", "alice");
  assert.equal((await older.next()).code, "replaced");
  assert.deepEqual(await older.ending(), [4409, "replaced"]);
  bob.send({ target_id: "alice", n: 1 });
  assert.deepEqual(await newer.next(), { from: "bob", n: 1 });
});

Deno.test("with reject, a newer connection is refused as long as the older one lasts", async () => {
  await using server = startServer({ onDuplicate: "reject" });
  const older = await TestClient.register(server.url, "alice");
  const newer = await TestClient.connect(server.url);
  newer.send({ type: "register", client_id: "alice" });
  assert.equal((await newer.next()).code, "id_taken");
  assert.equal((await newer.closed).code, 4409);
  older.send({ target_id: "alice" });
  assert.deepEqual(await older.next(), { from: "alice" });
  await older.close(1000);
  await server.events.happened("unregistered alice");
  assert.equal((await TestClient.register(server.url, "alice")).registered.client_id, "alice");
});

// Forwarding.

/** Sent by alice to bob, and what bob gets. */
const TEXTS = [
  ['{"type":"offer","target_id":"bob","sdp":"v=0"}', '{"type":"offer","from":"alice","sdp":"v=0"}'],
  [
    '{"n":12345678901234567890,"m":1.0,"k":1e400,"target_id":"bob"}',
    '{"n":12345678901234567890,"m":1.0,"k":1e400,"from":"alice"}',
  ],
  [
    ' {\r\n\t"target_id" : "bob" , "a":"\\u00e9\\/\\ud800" , "a" : null } ',
    ' {\r\n\t"from":"alice" , "a":"\\u00e9\\/\\ud800" , "a" : null } ',
  ],
  [
    '{"from":"mallory","a":{"target_id":"x","from":"y"},"\\u0074arget_id":"bob"}',
    '{"from":"alice","a":{"target_id":"x","from":"y"}}',
  ],
  ['{"target_id":"bob","a":"é€😀\u2028\ufeff"}', '{"from":"alice","a":"é€😀\u2028\ufeff"}'],
  [
    `{"target_id":"bob","sdp":"${"a=candidate\\r\\n".repeat(4000)}"}`,
    `{"from":"alice","sdp":"${"a=candidate\\r\\n".repeat(4000)}"}`,
  ],
] as const;

Deno.test("a message reaches its target to the character, and its sender gets nothing", async () => {
  await using server = startServer();
  const [alice, bob] = await TestClient.registerAll(server.url, "alice", "bob");
  for (const [sent, got] of TEXTS) {
    alice.send(sent);
    assert.equal(await bob.nextText(), got);
  }
  alice.send({ target_id: "alice", last: true });
  assert.deepEqual(await alice.next(), { from: "alice", last: true }); // and nothing before it
});

Deno.test("1,000 messages arrive in the order in which they were sent", async () => {
  await using server = startServer({ rateLimitPerSecond: "0" });
  const [alice, bob] = await TestClient.registerAll(server.url, "alice", "bob");
  const numbers = Array.from({ length: 1000 }, (_, n) => n);
  for (const n of numbers) alice.send({ target_id: "bob", n, filler: "x".repeat(n) });
  const received: unknown[] = [];
  for (const _ of numbers) received.push((await bob.next()).n);
  assert.deepEqual(received, numbers);
});

Deno.test("two clients that send to each other at once lose nothing", async () => {
  await using server = startServer({ rateLimitPerSecond: "0" });
  const [alice, bob] = await TestClient.registerAll(server.url, "alice", "bob");
  for (let n = 0; n < 200; n++) {
    alice.send({ target_id: "bob", n });
    bob.send({ target_id: "alice", n });
  }
  for (let n = 0; n < 200; n++) {
    assert.deepEqual(await alice.next(), { from: "bob", n });
    assert.deepEqual(await bob.next(), { from: "alice", n });
  }
});

Deno.test("a message in fragments is one message, wherever it is cut", async () => {
  await using server = startServer();
  const bob = await TestClient.register(server.url, "bob");
  using alice = await RawPeer.register(server.url, "alice");
  const bytes = new TextEncoder().encode('{"target_id":"bob","a":"é😀"}');
  for (const size of [1, 2, 3, 7]) {
    for (let at = 0; at < bytes.length; at += size) {
      await alice.send({
        opcode: at === 0 ? OPCODE.TEXT : OPCODE.CONTINUATION,
        payload: bytes.subarray(at, at + size),
        fin: at + size >= bytes.length,
      });
      if (at === size) await alice.send({ opcode: OPCODE.PING, payload: "in between" });
    }
    assert.equal(await bob.nextText(), '{"from":"alice","a":"é😀"}');
  }
});

Deno.test("fragments count together against the message size", async () => {
  await using server = startServer({ maxMessageSizeBytes: "100" });
  using alice = await RawPeer.register(server.url, "alice");
  const half = "x".repeat(60);
  await alice.send({ payload: `{"target_id":"bob","a":"${half}`, fin: false });
  await alice.send({ opcode: OPCODE.CONTINUATION, payload: `${half}"}` });
  assert.deepEqual(await alice.readClose(), { code: 1009, reason: "message_too_large" });
});

Deno.test("a disconnected client is not found any more", async () => {
  await using server = startServer({ mailboxTtlMs: "0" });
  const [alice, bob] = await TestClient.registerAll(server.url, "alice", "bob");
  await bob.close(1000);
  await server.events.happened("unregistered bob");
  alice.send({ target_id: "bob", type: "offer" });
  assert.deepEqual(await alice.next(), {
    type: "error",
    code: "target_not_found",
    message: 'No client "bob" is connected.',
    target_id: "bob",
  });
});

Deno.test("a client that is lost without a close is unregistered as well", async () => {
  await using server = startServer();
  using alice = await RawPeer.register(server.url, "alice");
  alice.close();
  await server.events.happened("unregistered alice");
  using bob = await RawPeer.register(server.url, "bob");
  await bob.sendText('{"target_id":"bob"}');
  await bob.reset();
  await server.events.happened("unregistered bob");
});

Deno.test("a client that answers no ping is dropped after the idle timeout, and counted out once", async () => {
  const server = startServer({ idleTimeoutMs: "200ms" });
  using silent = await RawPeer.register(server.url, "silent");
  assert.equal((await silent.readClose())?.code, 1001);
  silent.close();
  await server.events.happened("connection_closed");
  await server[Symbol.asyncDispose]();
  const ends = server.events.lines.filter((line) => /^(connection_closed|unregistered)/.test(line));
  assert.deepEqual(ends.sort(), ["connection_closed", "unregistered silent"]);
  assert.equal(server.events.of("unregistered")[0]!.reason, "unanswered_ping");
});

// Plain HTTP.

Deno.test("/healthz shows the server's status", async () => {
  const clock = new FakeClock();
  await using server = startServer({}, { clock });
  await TestClient.register(server.url, "alice");
  await TestClient.connect(server.url); // has not registered
  clock.advance(7999);
  const response = await fetch(`${server.httpUrl}/healthz?now`);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.equal(response.headers.get("access-control-allow-origin"), "*");
  assert.equal(response.headers.get("cache-control"), "no-store");
  assert.deepEqual(await response.json(), {
    status: "ok",
    clients: 1,
    version: "test",
    uptime_seconds: 7,
  });
});

Deno.test("/healthz answers HEAD without a body", async () => {
  await using server = startServer();
  const response = await fetch(`${server.httpUrl}/healthz`, { method: "HEAD" });
  assert.deepEqual([response.status, await response.text()], [200, ""]);
});

Deno.test("any other plain request is answered with 404", async () => {
  await using server = startServer();
  const requests: readonly (readonly [method: string, path: string])[] = [
    ["GET", "/nothing"],
    ["GET", "/healthz/"],
    ["GET", "/HEALTHZ"],
    ["GET", "//healthz"],
    ["POST", "/healthz"],
    ["PUT", "/"],
  ];
  for (const [method, path] of requests) {
    const response = await fetch(`${server.httpUrl}${path}`, { method });
    assert.match(await response.text(), /^Nothing is here\. Clients open a WebSocket, on any path/);
    assert.equal(response.status, 404, `${method} ${path}`);
  }
});

Deno.test("OPTIONS is answered with 204 on every path", async () => {
  await using server = startServer();
  for (const path of ["/", "/healthz", "/nothing", "*"]) {
    const head = await answerTo(server.url, `OPTIONS ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
    assert.match(head, /^HTTP\/1\.1 204 /, path);
  }
});

Deno.test("/healthz is answered whatever the Host header says", async () => {
  await using server = startServer();
  for (const host of ["a b", "%", "[::1", "x:99999", "a_b", "", "a/b?c", "http://x", "é"]) {
    const head = await answerTo(server.url, `GET /healthz?x=/y HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
    assert.match(head, /^HTTP\/1\.1 200 /, host);
  }
  assert.match(await answerTo(server.url, "GET /healthz HTTP/1.0\r\n\r\n"), /^HTTP\/1\.0 200 /);
});

Deno.test("a WebSocket opens whatever the Host header says, also if its URL names its dialect", async () => {
  await using server = startServer({ dialects: "all" });
  for (const host of ["a b", "%", "[::1", "x:99999", "", "a/b?c"]) {
    for (const [n, path] of ["/", "/alice", "/peerjs?key=peerjs&id=a&token=t"].entries()) {
      using peer = await RawPeer.connect(server.url);
      await peer.write(upgradeRequest({ ...UPGRADE_HEADERS, host }, `GET ${path} HTTP/1.1`));
      assert.match(await peer.readHead(), /^HTTP\/1\.1 101 /, `${host} ${path}`);
      if (n < 2) await peer.sendText('{"type":"register","client_id":"bob"}');
      const { payload } = (await peer.readFrame())!;
      const text = new TextDecoder().decode(payload);
      assert.equal(text, n < 2 ? '{"type":"registered","client_id":"bob"}' : '{"type":"OPEN"}');
    }
  }
  assert.deepEqual(server.events.of("internal_error"), []);
});

Deno.test("a client that offers subprotocols gets the first one", async () => {
  await using server = startServer();
  for (const [offer, answer] of [["json", "json"], ["a,b", "a"], ["a, b", "a"], ["", ""]]) {
    const head = await answerTo(
      server.url,
      upgradeRequest({ ...UPGRADE_HEADERS, "sec-websocket-protocol": offer! }),
    );
    assert.match(head, /^HTTP\/1\.1 101 /);
    const [, got = ""] = /^sec-websocket-protocol: (.*)\r$/im.exec(head) ?? [];
    assert.equal(got, answer);
  }
  const socket = new WebSocket(server.url, ["json", "xml"]);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  assert.equal(socket.protocol, "json");
  const closed = new Promise((resolve) => socket.onclose = resolve);
  socket.close();
  await closed;
});

Deno.test("a refused connection is an event that says why", async () => {
  const refusals: string[] = [];
  const emit: Emit = (event) => {
    if (event.kind !== "connection_refused") return;
    refusals.push(`${event.address} ${event.status} ${event.message}`);
  };
  const limits = { maxConnectionsPerIp: "1", maxConnections: "2", trustProxy: "true" };
  await using server = startServer({ ...limits, allowOrigins: "https://a.example" }, { emit });
  const ask = (headers: Record<string, string>, address = "192.0.2.1") =>
    answerTo(
      server.url,
      upgradeRequest({ ...UPGRADE_HEADERS, "x-forwarded-for": address, ...headers }),
    );
  await ask({ origin: "https://b.example" });
  await ask({ "sec-websocket-version": "8" });
  await ask({ "sec-websocket-key": "short" });
  await ask({ upgrade: "", connection: "close" });
  using _first = await RawPeer.open(server.url, { "x-forwarded-for": "192.0.2.1" });
  await ask({});
  using _second = await RawPeer.open(server.url, { "x-forwarded-for": "192.0.2.2" });
  await ask({}, "192.0.2.3");
  assert.deepEqual(refusals, [
    "192.0.2.1 403 Origin https://b.example is not allowed.",
    '192.0.2.1 426 Sec-WebSocket-Version must be 13: not "8".',
    "192.0.2.1 400 Sec-WebSocket-Key must be 16 bytes in base64.",
    "192.0.2.1 426 The header Upgrade: websocket is missing. If a proxy stands before the server, " +
    "it has to pass on Upgrade and Connection.",
    "192.0.2.1 429 Too many connections from this address: --max-connections-per-ip is 1.",
    "192.0.2.3 503 The server is full: --max-connections is 2.",
  ]);
});

Deno.test("an address that is none, from a proxy, is a warning once", async () => {
  const warnings: string[] = [];
  const emit: Emit = (event) => {
    if (event.kind === "warning") warnings.push(event.message);
  };
  await using server = startServer({ trustProxy: "true" }, { emit });
  for (const entry of ["unknown", "hidden"]) {
    await answerTo(server.url, upgradeRequest({ ...UPGRADE_HEADERS, "x-forwarded-for": entry }));
  }
  assert.deepEqual(warnings, [
    'A proxy sent an address that is none, "unknown", in X-Forwarded-For or X-Real-IP. ' +
    "The proxy's own address counts as the client's.",
  ]);
});

/** The status line and headers with which a request is answered. */
async function answerTo(url: string, request: string): Promise<string> {
  using peer = await RawPeer.connect(url);
  await peer.write(request);
  return await peer.readHead();
}

const BROKEN_UPGRADES: readonly (readonly [what: string, request: string, status: number])[] = [
  ["by POST", upgradeRequest(UPGRADE_HEADERS, "POST / HTTP/1.1"), 400],
  ["by HEAD", upgradeRequest(UPGRADE_HEADERS, "HEAD / HTTP/1.1"), 400],
  ["without Connection", upgradeRequest({ ...UPGRADE_HEADERS, connection: "keep-alive" }), 400],
  ["with a bad key", upgradeRequest({ ...UPGRADE_HEADERS, "sec-websocket-key": "short" }), 400],
  [
    "whose Upgrade a proxy has dropped",
    upgradeRequest({ ...UPGRADE_HEADERS, upgrade: "", connection: "close" }, "GET /any HTTP/1.1"),
    426,
  ],
  ["of version 8", upgradeRequest({ ...UPGRADE_HEADERS, "sec-websocket-version": "8" }), 426],
];

for (const [what, request, status] of BROKEN_UPGRADES) {
  Deno.test(`an upgrade ${what} is refused with ${status}`, async () => {
    await using server = startServer();
    const head = await answerTo(server.url, request);
    assert.match(head, new RegExp(`^HTTP/1\\.1 ${status} `));
    if (status === 426) assert.match(head, /^sec-websocket-version: 13\r$/im);
  });
}

Deno.test("an upgrade by POST is refused with a text", async () => {
  await using server = startServer();
  const headers = { "sec-websocket-key": UPGRADE_HEADERS["sec-websocket-key"]! };
  const posted = await fetch(server.httpUrl, { method: "POST", headers });
  assert.equal(await posted.text(), "A WebSocket is opened with GET, not POST.\n");
});

Deno.test("an upgrade from a page of another origin is refused with 403, one without an origin is not", async () => {
  await using server = startServer({ allowOrigins: "https://example.org" });
  const from = (origin: string) => upgradeRequest({ ...UPGRADE_HEADERS, origin });
  assert.match(await answerTo(server.url, from("https://example.com")), /^HTTP\/1\.1 403 /);
  assert.match(await answerTo(server.url, from("null")), /^HTTP\/1\.1 403 /);
  assert.match(await answerTo(server.url, from("https://example.org")), /^HTTP\/1\.1 101 /);
  assert.match(await answerTo(server.url, upgradeRequest()), /^HTTP\/1\.1 101 /);
});

Deno.test("an upgrade is refused with 503 while the memory is tight", async () => {
  let isTight = true;
  await using server = startServer({}, { isMemoryTight: () => isTight });
  assert.match(
    await answerTo(server.url, upgradeRequest()),
    /^HTTP\/1\.1 503 [^]*retry-after: \d/i,
  );
  isTight = false;
  await TestClient.register(server.url, "alice");
});

// Shutdown.

Deno.test("drain() closes every client with 1012, and stops to listen", async () => {
  const server = startServer();
  const clients = [
    await TestClient.register(server.url, "alice"),
    await TestClient.connect(server.url),
  ];
  await server[Symbol.asyncDispose]();
  for (const client of clients) {
    const { code, reason } = await client.closed;
    assert.deepEqual([code, reason, client.unread], [1012, "shutting_down", 0]);
  }
  await assert.rejects(TestClient.connect(server.url));
});

Deno.test("drain() lets clients stay for its delay, and refuses others meanwhile", async () => {
  const clock = new FakeClock();
  const server = startServer({ drainDelayMs: "15s" }, { clock });
  const alice = await TestClient.register(server.url, "alice");
  const drained = server.server.drain();
  const health = await fetch(`${server.httpUrl}/healthz`);
  assert.deepEqual([health.status, (await health.json()).status], [503, "draining"]);
  assert.match(await answerTo(server.url, upgradeRequest()), /^HTTP\/1\.1 503 /);
  clock.advance(14_999);
  alice.send({ target_id: "alice", n: 1 });
  assert.deepEqual(await alice.next(), { from: "alice", n: 1 });
  clock.advance(1);
  assert.deepEqual(await alice.ending(), [1012, "shutting_down"]);
  await drained;
});

Deno.test("drain() that waits for a client refuses others with 503, and is over in its time", async () => {
  const clock = new FakeClock();
  const server = startServer({ drainTimeoutMs: "5s" }, { clock });
  using silent = await RawPeer.register(server.url, "silent"); // and never answers the close
  const drained = server[Symbol.asyncDispose]();
  const health = await fetch(`${server.httpUrl}/healthz`);
  assert.deepEqual([health.status, (await health.json()).status], [503, "draining"]);
  assert.match(
    await answerTo(server.url, upgradeRequest()),
    /^HTTP\/1\.1 503 [^]*retry-after: \d/i,
  );
  assert.deepEqual(await silent.readClose(), { code: 1012, reason: "shutting_down" });
  clock.advance(5000);
  await drained;
});
