/** Each proxy of deploying.md with the printed file, in front of the program. */

import assert from "node:assert/strict";
import { isMissingOpenssl } from "../helpers/certificate.ts";
import { OPCODE } from "../helpers/frames.ts";
import { ServingProgram } from "../helpers/program.ts";
import { RawPeer } from "../helpers/raw_peer.ts";
import { isFile, isMissing } from "../helpers/tools.ts";
import { PROXIES, RunningProxy } from "./proxies.ts";

/** Pings come after half of it, each second: sooner than the proxy gives up (3 s). */
const IDLE_TIMEOUT = "2s";
/** Pings of an idle client that take longer than a proxy waits. */
const PINGS = 4;
const FORGED = { "x-forwarded-for": "203.0.113.99" };

/** The address of clients: they connect over IPv6, the proxy reaches the server over IPv4. */
const CLIENT_ADDRESS = "::1";

for (const kind of PROXIES) {
  for (const [title, prefix] of Object.entries(kind.files)) {
    Deno.test(`${kind.name} passes on what clients need: ${title}`, async () => {
      if (isMissing(isFile(kind.program), kind.program) || isMissingOpenssl()) return;
      await using program = await ServingProgram.start([
        ...["--admin", "127.0.0.1:0", "--trust-proxy", "127.0.0.1", "--idle-timeout", IDLE_TIMEOUT],
      ]);
      const serverPort = Number(new URL(program.url).port);
      await using proxy = await RunningProxy.start(kind, title, serverPort);
      try {
        await checkFiles(proxy, prefix);
        await checkExchange(proxy, prefix, program);
      } catch (error) {
        throw new Error(proxy.log, { cause: error });
      }
    });
  }
}

async function checkFiles(proxy: RunningProxy, prefix: string): Promise<void> {
  using client = Deno.createHttpClient({ caCerts: [proxy.caCert] });
  const get = async (path: string) => {
    const response = await fetch(`https://localhost:${proxy.port}${prefix}${path}`, { client });
    assert.equal(response.status, 200, path);
    return await response.text();
  };
  assert.match(await get(""), /<title>signalbox/);
  assert.match(await get("client.js"), /export function connect/);
  assert.equal(JSON.parse(await get("healthz")).status, "ok");
}

async function checkExchange(
  proxy: RunningProxy,
  prefix: string,
  program: ServingProgram,
): Promise<void> {
  const alice = await register(proxy, prefix, "alice", {});
  const bob = await register(proxy, prefix, "bob", FORGED);
  using _peers = disposeBoth(alice, bob);
  assert.deepEqual(await addresses(program), { alice: CLIENT_ADDRESS, bob: CLIENT_ADDRESS });
  await Promise.all([stayIdle(alice), stayIdle(bob)]);
  await alice.sendText('{"type":"offer","target_id":"bob","sdp":"v=0"}');
  assert.equal(await nextText(bob), '{"type":"offer","from":"alice","sdp":"v=0"}');
  await bob.sendText('{"type":"answer","target_id":"alice","sdp":"v=0"}');
  assert.equal(await nextText(alice), '{"type":"answer","from":"bob","sdp":"v=0"}');
}

async function register(
  proxy: RunningProxy,
  prefix: string,
  clientId: string,
  headers: Readonly<Record<string, string>>,
): Promise<RawPeer> {
  const url = `wss://localhost:${proxy.port}${prefix}`;
  const options = { caCert: proxy.caCert, ipAddress: CLIENT_ADDRESS };
  const peer = await RawPeer.open(url, headers, options);
  await peer.sendText(JSON.stringify({ type: "register", client_id: clientId }));
  assert.match(await nextText(peer), /"registered"/);
  return peer;
}

function disposeBoth(...peers: RawPeer[]): Disposable {
  const stack = new DisposableStack();
  for (const peer of peers) stack.use(peer);
  return stack;
}

/** The address of each client, as the server sees it. */
async function addresses(program: ServingProgram): Promise<Record<string, string>> {
  const { clients } = await (await fetch(new URL("api/clients", program.adminUrl))).json();
  const entries = clients.map(({ id, address }: { id: string; address: string }) => [id, address]);
  return Object.fromEntries(entries);
}

/** Answers pings, and sends nothing else, for longer than the proxy's timeout. */
async function stayIdle(peer: RawPeer): Promise<void> {
  for (let pings = 0; pings < PINGS; pings++) {
    const frame = await peer.readFrame();
    assert.equal(frame?.opcode, OPCODE.PING, `after ${pings} pings`);
    await peer.send({ opcode: OPCODE.PONG, payload: frame.payload });
  }
}

/** The next message, with pings answered on the way. */
async function nextText(peer: RawPeer): Promise<string> {
  while (true) {
    const frame = await peer.readFrame();
    assert.ok(frame !== null, "the connection has ended");
    if (frame.opcode === OPCODE.TEXT) return new TextDecoder().decode(frame.payload);
    await peer.send({ opcode: OPCODE.PONG, payload: frame.payload });
  }
}
