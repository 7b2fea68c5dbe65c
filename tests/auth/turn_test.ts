/// <reference lib="dom" />

/** ICE servers: what clients are given, and that a real TURN server takes it (protocol.md, ICE servers). */

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { type IceServer, iceServers } from "../../lib/auth/turn.ts";
import { isChromiumMissing, TestBrowser } from "../helpers/chromium.ts";
import { TestClient } from "../helpers/client.ts";
import { startServer } from "../helpers/server.ts";
import { isTurnMissing, TurnServer } from "../helpers/turn_server.ts";

const SECRET = "shared with the TURN server";
const EPOCH_MS = 1_700_000_000_999;
const STUN = "stun:stun.example.org:3478";
const TURN = "turn:turn.example.org?transport=udp";

const NOT_FIXED = { turnUsername: undefined, turnPassword: undefined };
const config = { urls: [STUN, TURN], turnSecret: SECRET, turnTtlMs: 3_600_000, ...NOT_FIXED };

Deno.test("iceServers() gives TURN credentials of draft-uberti-behave-turn-rest-00", () => {
  const username = "1700003600:alice";
  const credential = createHmac("sha1", SECRET).update(username).digest("base64");
  assert.deepEqual(iceServers(config, "alice", EPOCH_MS), [
    { urls: [STUN] },
    { urls: [TURN], username, credential },
  ]);
});

Deno.test("iceServers() keeps the order of URLs, STUN before TURN", () => {
  const urls = [TURN, "stuns:b", "turns:c:5349?transport=tcp", "stun:[::1]:3478"];
  const servers = iceServers({ ...config, urls }, "alice", EPOCH_MS);
  assert.deepEqual(servers.map(({ urls }) => urls), [
    ["stuns:b", "stun:[::1]:3478"],
    [TURN, "turns:c:5349?transport=tcp"],
  ]);
  assert.deepEqual(iceServers({ ...config, urls: [] }, "alice", EPOCH_MS), []);
});

Deno.test("iceServers() gives fixed credentials if there is no secret", () => {
  const fixed = { turnSecret: undefined, turnUsername: "user", turnPassword: "hush" };
  assert.deepEqual(iceServers({ ...config, ...fixed }, "alice", EPOCH_MS), [
    { urls: [STUN] },
    { urls: [TURN], username: "user", credential: "hush" },
  ]);
});

Deno.test("registered carries fixed TURN credentials as they were given", async () => {
  await using server = startServer({ iceServers: TURN, turnUsername: "u", turnPassword: "p" });
  const { registered } = await TestClient.register(server.url, "alice");
  assert.deepEqual(registered.ice_servers, [{ urls: [TURN], username: "u", credential: "p" }]);
});

Deno.test("registered carries the ICE servers, with credentials of each registration's own", async () => {
  const given = { iceServers: `${STUN},${TURN}`, turnSecret: SECRET, turnTtlMs: "1h" };
  await using server = startServer(given);
  for (const clientId of ["alice", "bob:1", "☎"]) {
    const before = Math.floor(Date.now() / 1000) + 3600;
    const client = await TestClient.register(server.url, clientId);
    const after = Math.floor(Date.now() / 1000) + 3600;
    const [stun, turn, ...others] = client.registered.ice_servers as IceServer[];
    assert.deepEqual([stun, others], [{ urls: [STUN] }, []]);
    assert.deepEqual(Object.keys(turn!), ["urls", "username", "credential"]);
    const [expiry, id] = /^(\d+):(.*)$/.exec(turn!.username!)!.slice(1);
    assert.equal(id, clientId);
    assert.ok(before <= Number(expiry) && Number(expiry) <= after);
    const credential = createHmac("sha1", SECRET).update(turn!.username!).digest("base64");
    assert.equal(turn!.credential, credential);
    assert.deepEqual(Object.keys(client.registered), ["type", "client_id", "ice_servers"]);
  }
});

Deno.test("without ICE servers registered does not have the member; with STUN alone no credentials", async () => {
  await using without = startServer();
  const alice = await TestClient.register(without.url, "alice");
  assert.deepEqual(alice.registered, { type: "registered", client_id: "alice" });
  await using withStun = startServer({ iceServers: STUN });
  const bob = await TestClient.register(withStun.url, "bob");
  assert.deepEqual(bob.registered.ice_servers, [{ urls: [STUN] }]);
});

Deno.test({
  name: "a TURN server takes the credentials from registered, and none that have expired",
  ignore: isTurnMissing(),
  async fn() {
    await using turn = await TurnServer.start(SECRET);
    const given = { iceServers: turn.url, turnSecret: SECRET, turnTtlMs: "1m" };
    await using server = startServer(given);
    const { registered } = await TestClient.register(server.url, "☎:1");
    const [{ username, credential }] = registered.ice_servers as [Required<IceServer>];
    assert.equal(await turn.serves(username, credential), true);
    assert.equal(await turn.serves(username, `${credential}x`), false, "another credential");
    assert.equal(await turn.serves(`1${username}`, credential), false, "another expiry");
    const turnConfig = { urls: [turn.url], turnSecret: SECRET, turnTtlMs: 60_000, ...NOT_FIXED };
    const [expired] = iceServers(turnConfig, "☎:1", Date.now() - 62_000);
    assert.equal(await turn.serves(expired!.username!, expired!.credential!), false, "expired");
    const [foreign] = iceServers({ ...turnConfig, turnSecret: "another" }, "☎:1", Date.now());
    assert.equal(await turn.serves(foreign!.username!, foreign!.credential!), false, "foreign");
  },
});

Deno.test({
  name: "two peers in Chromium that may use nothing but the relay reach each other through it",
  ignore: isTurnMissing() || isChromiumMissing(),
  async fn() {
    await using turn = await TurnServer.start(SECRET);
    await using server = startServer({ iceServers: turn.url, turnSecret: SECRET });
    await using browser = await TestBrowser.launch();
    const page = await browser.open(`${server.httpUrl}/healthz`);
    const result = await page.evaluate(callThroughRelay, "/client.js");
    assert.deepEqual(result, { received: "hello", candidateTypes: ["relay", "relay"] });
  },
});

/** Runs in the page: one peer calls another, and says hello once it can. */
async function callThroughRelay(clientPath: string) {
  const { connect }: typeof import("../../lib/web/clients/client.js") = await import(clientPath);
  const configuration = { iceTransportPolicy: "relay" } as const;
  const [alice, bob] = ["alice", "bob"].map((clientId) => connect("/", { clientId }));
  const received = new Promise<string>((resolve) => {
    bob!.on("call", ({ accept }) => {
      const taken = accept({ configuration });
      taken.ondatachannel = ({ channel }) => channel.onmessage = ({ data }) => resolve(data);
    });
  });
  await Promise.all([alice, bob].map((one) =>
    new Promise<void>((resolve) => {
      one!.on("statechange", ({ state }) => state === "registered" && resolve());
    })
  ));
  const connection = alice!.peer("bob", { configuration });
  const channel = connection.createDataChannel("chat");
  channel.onopen = () => channel.send("hello");
  const result = { received: await received, candidateTypes: [] as string[] };
  const stats: Map<string, Record<string, string>> = new Map(await connection.getStats());
  for (const { type, state, localCandidateId, remoteCandidateId } of stats.values()) {
    if (type !== "candidate-pair" || state !== "succeeded") continue;
    const ends = [localCandidateId, remoteCandidateId];
    result.candidateTypes = ends.map((id) => stats.get(id!)!.candidateType!);
  }
  for (const one of [alice, bob]) one!.close();
  return result;
}
