/** Clients of other servers, as operators configure and see them: tokens, origins, the admin listener, the log. */

import assert from "node:assert/strict";
import { createAuthenticator } from "../../lib/auth/tokens.ts";
import { startServerWithAdmin } from "../helpers/admin.ts";
import { TestClient } from "../helpers/client.ts";
import { ServingProgram } from "../helpers/program.ts";
import { startServer } from "../helpers/server.ts";
import { SECRET, sign } from "../helpers/tokens.ts";
import { assertQuiet, join, open } from "../interop/peerjs_exchanges.ts";

async function startWithTokens() {
  const authenticator = await createAuthenticator([SECRET], undefined);
  const options = { authSecrets: [SECRET], dialects: "all", peerjsDiscovery: "true" };
  return startServer(options, { authenticator });
}

/** Connects a peer that is refused, and returns the type and the message of what it gets, and the close code. */
async function refusalOf(url: string, id: string, token: string) {
  const peer = await open(url, `key=peerjs&id=${id}&token=${token}`);
  const { type, payload } = await peer.next();
  return [type, (payload as { msg: string }).msg, (await peer.closed).code];
}

Deno.test("PeerJS' token is a JWT whose sub is the ID", async () => {
  await using server = await startWithTokens();
  const alice = await join(server.url, "alice", await sign({ sub: "alice" }));
  const anyone = await sign({});
  const bob = await join(server.url, "bob", anyone);
  const unauthorized = "The token is malformed or badly signed.";
  for (
    const [token, message] of [
      ["t", unauthorized],
      [`${anyone}x`, unauthorized],
      [await sign({ exp: 1 }), "The token has expired."],
      [await sign({ sub: "alice" }), 'The token does not allow the ID "carol", only "alice".'],
      [
        await sign({ sub: "carol", room: "lobby" }),
        "The token does not allow registering without a room.",
      ],
    ] as const
  ) assert.deepEqual(await refusalOf(server.url, "carol", token), ["ERROR", message, 1008]);
  await Promise.all([alice.close(), bob.close()]);
});

Deno.test("a token whose sub is the ID takes it over, also a renewed one; one without sub never does", async () => {
  await using server = await startWithTokens();
  const token = await sign({ sub: "alice" });
  const first = await join(server.url, "alice", token);
  const second = await join(server.url, "alice", token);
  assert.equal((await first.closed).code, 4409);
  const third = await join(server.url, "alice", await sign({ sub: "alice", jti: "renewed" }));
  assert.equal((await second.closed).code, 4409);
  const anyone = await sign({});
  assert.deepEqual(await refusalOf(server.url, "alice", anyone), ["ID-TAKEN", "ID is taken", 4409]);
  const bob = await join(server.url, "bob", anyone);
  assert.deepEqual(await refusalOf(server.url, "bob", anyone), ["ID-TAKEN", "ID is taken", 4409]);
  await assertQuiet(third, "alice");
  await Promise.all([third.close(), bob.close()]);
});

Deno.test("libdatachannel's token is a parameter of its URL", async () => {
  await using server = await startWithTokens();
  const alice = await TestClient.connect(
    `${server.url}/alice?token=${await sign({ sub: "alice" })}`,
  );
  alice.send({ id: "alice", n: 1 });
  assert.deepEqual(await alice.next(), { id: "alice", n: 1 });
  for (
    const query of [
      "",
      `?token=${await sign({ sub: "alice" })}`,
      `?token=${await sign({ room: "r" })}`,
    ]
  ) {
    const refused = await TestClient.connect(`${server.url}/bob${query}`);
    refused.send({ id: "alice", n: 2 });
    const { code, reason } = await refused.closed;
    assert.equal(code, 1008, reason);
    assert.equal(refused.unread, 0);
  }
  const core = await TestClient.connect(`${server.url}/bob`);
  core.send({ type: "register", client_id: "carol", token: await sign({}) });
  assert.equal((await core.next()).type, "registered");
  alice.send({ id: "alice", n: 3 });
  assert.deepEqual(await alice.next(), { id: "alice", n: 3 });
  await Promise.all([alice.close(), core.close()]);
});

/** Status, and whether any page may read it. */
async function ask(url: string, headers: Record<string, string> = {}) {
  const response = await fetch(url, { headers });
  await response.body?.cancel();
  return [response.status, response.headers.get("access-control-allow-origin")];
}

Deno.test("PeerJS' routes obey origins, the key, discovery and tokens", async () => {
  await using plain = startServer({ peerjsKey: "a key" });
  assert.deepEqual(await ask(`${plain.httpUrl}/any/path/a%20key/id`), [200, "*"]);
  assert.deepEqual(await ask(`${plain.httpUrl}/a%20key/peers`), [401, "*"]);
  assert.deepEqual(await ask(`${plain.httpUrl}/peerjs/id`), [404, null]);
  await using strict = startServer({
    allowOrigins: ["https://app.example"],
    peerjsDiscovery: "true",
  });
  for (const route of ["id", "peers"]) {
    const url = `${strict.httpUrl}/peerjs/${route}`;
    assert.deepEqual(await ask(url, { origin: "https://app.example" }), [
      200,
      "https://app.example",
    ]);
    assert.equal((await ask(url, { origin: "https://other.example" }))[0], 403);
  }
  await using withTokens = await startWithTokens();
  assert.equal((await ask(`${withTokens.httpUrl}/peerjs/peers`))[0], 401);
  await using off = startServer({ dialects: "off" });
  assert.equal((await ask(`${off.httpUrl}/peerjs/id`))[0], 404);
  const peer = await open(off.url, "key=peerjs&id=a&token=t");
  peer.send({ type: "HEARTBEAT" });
  assert.equal((await peer.closed).reason, "not_registered");
});

Deno.test("the admin listener lists and disconnects clients by dialect", async () => {
  await using server = startServerWithAdmin({ dialects: "all" });
  const peer = await join(server.url, "alice");
  const core = await TestClient.register(server.url, "alice");
  const data = await TestClient.connect(`${server.url}/alice`);
  data.send({ id: "alice" });
  await data.next();
  const { clients } = await (await fetch(`${server.adminUrl}/api/clients?sort=dialect`)).json();
  const shown = clients.map((
    { id, room, dialect }: Record<string, unknown>,
  ) => [id, room, dialect]);
  assert.deepEqual(shown, [null, "libdatachannel", "peerjs"].map((name) => ["alice", null, name]));
  peer.send({ type: "OFFER", dst: "alice" });
  await peer.next();
  const metrics = await (await fetch(`${server.adminUrl}/metrics`)).text();
  for (
    const line of [
      'signalbox_dialect_clients{dialect="core"} 1',
      'signalbox_dialect_clients{dialect="peerjs"} 1',
      'signalbox_dialect_clients{dialect="libdatachannel"} 1',
      'signalbox_messages_total{kind="direct"} 2',
      "signalbox_clients 3",
    ]
  ) assert.ok(metrics.split("\n").includes(line), line);
  const url = `${server.adminUrl}/api/clients/alice?dialect=peerjs`;
  const deleted = await fetch(url, { method: "DELETE" });
  await deleted.body?.cancel();
  assert.equal(deleted.status, 204);
  const { code, reason } = await peer.closed;
  assert.deepEqual([code, reason, peer.unread], [1008, "disconnected", 0]);
  await Promise.all([core.close(), data.close()]);
});

Deno.test("the log names sender and target, and neither payloads nor tokens", async () => {
  const args = ["--dialects", "all", "--log-level", "debug", "--mailbox-ttl", "100ms"];
  await using program = await ServingProgram.start(args);
  const peer = await join(program.url, "alice", "hidden-token");
  const data = await TestClient.connect(`${program.url}/bob?token=hidden-token`);
  peer.send({ type: "OFFER", dst: "alice", payload: "hidden-payload" });
  peer.send({ type: "OFFER", dst: "gone", payload: "hidden-payload" });
  data.send({ id: "gone", type: "offer", description: "hidden-payload" });
  await program.logged("✅ Client registered: alice");
  await program.logged("✅ Client registered: bob");
  await program.logged("Message sent to alice: OFFER");
  await program.logged("target_not_found", 2);
  assert.doesNotMatch(program.log, /hidden/);
  await Promise.all([peer.close(), data.close()]);
});
