/** Limits of connections, and of the time until they register. */

import assert from "node:assert/strict";
import { TestClient } from "../helpers/client.ts";
import { FakeClock } from "../helpers/clock.ts";
import type { Emit } from "../../lib/events.ts";
import { OPCODE } from "../helpers/frames.ts";
import { clientsAt } from "../helpers/health.ts";
import { ServingProgram } from "../helpers/program.ts";
import { answerToUpgrade, RawPeer } from "../helpers/raw_peer.ts";
import { startServer } from "../helpers/server.ts";

const OPEN = /^HTTP\/1\.1 101 /;
const FULL = /^HTTP\/1\.1 503 .*\r\nretry-after: \d+\r\n/is;
const TOO_MANY = /^HTTP\/1\.1 429 /;

Deno.test("--max-connections: a client over the limit gets 503, and connects once another has disconnected", async () => {
  await using server = startServer({ maxConnections: "2" });
  const alice = await TestClient.register(server.url, "alice");
  using _silent = await RawPeer.open(server.url); // one that has not registered counts as well
  assert.match(await answerToUpgrade(server.url), FULL);
  await alice.close();
  await server.events.happened("connection_closed");
  assert.match(await answerToUpgrade(server.url), OPEN);
});

Deno.test("a client that never answers its close counts until its socket is closed", async () => {
  await using server = startServer({ maxConnections: "1" });
  using zombie = await RawPeer.register(server.url, "zombie");
  server.server.connections.values().next().value!.close("disconnected");
  assert.equal((await zombie.readClose())?.code, 1008);
  assert.equal(await clientsAt(server.httpUrl), 0);
  assert.match(await answerToUpgrade(server.url), FULL);
  zombie.close();
  await server.events.happened("connection_closed");
  assert.match(await answerToUpgrade(server.url), OPEN);
});

Deno.test("an ID that is held for a resume counts for others until it expires", async () => {
  const clock = new FakeClock();
  await using server = startServer({ maxConnections: "1" }, { clock });
  using lost = await RawPeer.register(server.url, "lost", { resume: true });
  lost.close();
  await server.events.happened("detached lost");
  const refused = await TestClient.connect(server.url); // it is let in: it might be the owner
  refused.send({ type: "register", client_id: "other" });
  assert.equal((await refused.next()).code, "server_full");
  await refused.close();
  clock.advance(30_000);
  while (server.events.of("connection_closed").length < 2) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const other = await TestClient.register(server.url, "other");
  await other.close();
});

Deno.test("--max-connections-per-ip: the one too many of an address gets 429", async () => {
  const options = { maxConnectionsPerIp: "2", trustProxy: "true" };
  await using server = startServer(options);
  const from = (address: string) => answerToUpgrade(server.url, { "x-forwarded-for": address });
  const open = (address: string) => RawPeer.open(server.url, { "x-forwarded-for": address });
  using first = await open("192.0.2.1");
  using _second = await open("192.0.2.1");
  assert.match(await from("192.0.2.1"), TOO_MANY);
  assert.match(await from("::ffff:192.0.2.1"), TOO_MANY); // the same, written as IPv6
  using _third = await open("2001:db8::1");
  using _fourth = await open("2001:db8::2"); // another address of the same customer
  assert.match(await from("2001:db8::3"), TOO_MANY);
  assert.match(await from("2001:db8:0:1::1"), OPEN);
  using _other = await open("192.0.2.2");
  first.close();
  await server.events.happened("connection_closed");
  assert.match(await from("192.0.2.1"), OPEN);
});

/** X-Forwarded-For, and whether it is believed of a proxy on loopback. */
const PROXIES = [
  { trustProxy: undefined, header: "192.0.2.1", address: "127.0.0.1" },
  { trustProxy: "0", header: "192.0.2.1", address: "127.0.0.1" },
  { trustProxy: "10.0.0.0/8", header: "192.0.2.1", address: "127.0.0.1" },
  { trustProxy: "true", header: "192.0.2.1", address: "192.0.2.1" },
  { trustProxy: "10.0.0.7,127.0.0.0/8", header: "192.0.2.1", address: "192.0.2.1" },
  { trustProxy: "true", header: "198.51.100.9, 192.0.2.1", address: "192.0.2.1" },
  { trustProxy: "true", header: "2001:db8::1", address: "2001:db8::1" },
  { trustProxy: "true", header: "nonsense", address: "127.0.0.1" },
  { trustProxy: "true", header: "192.0.2.1, nonsense\tand more", address: "127.0.0.1" },
];

for (const { trustProxy, header, address } of PROXIES) {
  const option = trustProxy === undefined ? "without --trust-proxy" : `--trust-proxy=${trustProxy}`;
  Deno.test(`${option} takes ${JSON.stringify(header)} as ${address}`, async () => {
    const connected = Promise.withResolvers<string>();
    const emit: Emit = (event) => {
      if (event.kind === "connection_opened") connected.resolve(event.address);
    };
    await using server = startServer(trustProxy === undefined ? {} : { trustProxy }, { emit });
    await answerToUpgrade(server.url, { "x-forwarded-for": header });
    assert.equal(await connected.promise, address);
  });
}

Deno.test("--register-timeout closes clients that send nothing, or do not register", async () => {
  const clock = new FakeClock();
  await using server = startServer({ registerTimeoutMs: "3s" }, { clock });
  const silent = await TestClient.connect(server.url);
  const alice = await TestClient.register(server.url, "alice");
  clock.advance(2_999);
  assert.equal(silent.unread, 0);
  clock.advance(1);
  assert.equal((await silent.next()).code, "register_timeout");
  clock.advance(300);
  assert.deepEqual(await silent.ending(), [1008, "register_timeout"]);
  alice.send({ target_id: "alice" });
  assert.equal((await alice.next()).from, "alice");
  await alice.close();
});

Deno.test("--register-timeout: half a message does not save", async () => {
  const clock = new FakeClock();
  await using server = startServer({}, { clock });
  using slow = await RawPeer.open(server.url);
  await slow.send({ fin: false, payload: '{"type":"register",' });
  clock.advance(10_000);
  clock.advance(300);
  assert.deepEqual(await slow.readClose(), { code: 1008, reason: "register_timeout" });
});

Deno.test("--register-timeout does not refuse again a client that was refused and has stayed", async () => {
  const clock = new FakeClock();
  await using server = startServer({}, { clock });
  using zombie = await RawPeer.open(server.url);
  await zombie.sendText('{"type":"offer"}');
  assert.equal((await zombie.readFrame())?.opcode, OPCODE.TEXT);
  clock.advance(300);
  assert.equal((await zombie.readClose())?.reason, "not_registered");
  const before = [...server.events.lines];
  clock.advance(10_000);
  assert.deepEqual(server.events.lines, before);
});

Deno.test({
  name: "a thousand clients that come while the server is busy all have a connection",
  ignore: somaxconn() < 1000,
  async fn() {
    await using program = await ServingProgram.start([]);
    const { port, hostname } = new URL(program.url);
    program.signal("SIGSTOP");
    const clients = await Promise.all(
      Array.from({ length: 1000 }, () => Deno.connect({ port: Number(port), hostname })),
    );
    program.signal("SIGCONT");
    for (const client of clients) client.close();
  },
});

/** Upper bound of the connections that wait to be accepted; 0 if it is unknown. */
function somaxconn(): number {
  try {
    return Number(Deno.readTextFileSync("/proc/sys/net/core/somaxconn"));
  } catch {
    return 0;
  }
}
