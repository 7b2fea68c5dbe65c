/** The test that every build of the program must pass, on every runtime: the core protocol, and an orderly shutdown. */

import assert from "node:assert/strict";
import { TestClient } from "./client.ts";
import type { ServingProgram } from "./program.ts";
import { RawPeer, upgradeRequest } from "./raw_peer.ts";

const OFFER = '{"type":"offer","target_id":"bob","sdp":"v=0\\r\\n","n":12345678901234567890}';
const OFFER_AT_BOB = '{"type":"offer","from":"alice","sdp":"v=0\\r\\n","n":12345678901234567890}';

/** Three clients call each other through a server, and leave. */
export async function exchange(url: string): Promise<void> {
  const alice = await TestClient.connect(url);
  alice.send({ type: "register", client_id: "alice" });
  assert.equal(await alice.nextText(), '{"type":"registered","client_id":"alice"}');
  const [bob, carol] = await TestClient.registerAll(url, "bob", "carol");

  alice.send(OFFER);
  assert.equal(await bob.nextText(), OFFER_AT_BOB);
  bob.send({ type: "answer", target_id: "alice", sdp: "v=0" });
  assert.deepEqual(await alice.next(), { type: "answer", from: "bob", sdp: "v=0" });
  alice.send({ target_id: "bob", candidate: null });
  assert.deepEqual(await bob.next(), { from: "alice", candidate: null });

  carol.send({ type: "hello" });
  for (const other of [alice, bob]) {
    assert.deepEqual(await other.next(), { type: "hello", from: "carol" });
  }
  carol.send("nonsense");
  assert.equal((await carol.next()).code, "invalid_message");
  carol.send({ target_id: "carol", type: "ping" });
  assert.deepEqual(await carol.next(), { type: "ping", from: "carol" });

  const health = await fetch(`${url.replace(/^ws/, "http")}/healthz`);
  const { status, clients } = await health.json();
  assert.deepEqual([health.status, status, clients], [200, "ok", 3]);
  for (const client of [alice, bob, carol]) await client.close(1000);
}

/**
 * Ends the program by SIGTERM while two clients are connected, one of which never answers its close, and checks how it
 * does that.
 */
export async function shutDown(program: ServingProgram): Promise<void> {
  const polite = await TestClient.register(program.url, "polite");
  using silent = await RawPeer.register(program.url, "silent");
  program.signal("SIGTERM");
  assert.deepEqual(await polite.ending(), [1012, "shutting_down"]);
  assert.deepEqual(await silent.readClose(), { code: 1012, reason: "shutting_down" });

  const health = await fetch(`${program.httpUrl}/healthz`);
  assert.deepEqual([health.status, (await health.json()).status], [503, "draining"]);
  using late = await RawPeer.connect(program.url);
  await late.write(upgradeRequest());
  assert.match(await late.readHead(), /^HTTP\/1\.1 503 [^]*retry-after: \d/i);

  const { status, stderr } = await program.ended();
  assert.equal(status, 0);
  assert.match(stderr, /^INFO - Shutting down \(SIGTERM\)$/m);
}
