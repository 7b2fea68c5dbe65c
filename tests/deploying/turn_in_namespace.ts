/** coturn with the printed configuration. To be run in a network of its own, by turn_test.ts. */

import assert from "node:assert/strict";
import type { IceServer } from "../../lib/auth/turn.ts";
import { startLoopback } from "../helpers/cable.ts";
import { Certificate } from "../helpers/certificate.ts";
import { TestClient } from "../helpers/client.ts";
import { Foreground } from "../helpers/foreground.ts";
import { ServingProgram } from "../helpers/program.ts";
import { printedFile, replaceAll } from "./document.ts";

const ADDRESS = "203.0.113.10";
const SECRET = "shared with the TURN server";
const TLS_PORT = 5349;

/** The address of the machine itself, behind a provider that translates addresses. */
const PRIVATE_ADDRESS = "10.0.0.5";

const DENIED_PEERS = ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "172.31.0.1"];
const DENIED_PEERS_V6 = ["::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "fd00::1"];

type Turn = Required<IceServer>;

interface Outcome {
  readonly success: boolean;
  readonly printed: string;
}

/** The command of a client that sends one message through a relay. */
function clientCommand({ username, credential }: Turn): string[] {
  return ["turnutils_uclient", "-c", "-n", "1", "-z", "1", "-u", username, "-w", credential];
}

/** Runs a client to its end. */
async function relay(turn: Turn, ...more: readonly string[]): Promise<Outcome> {
  const [program, ...args] = [...clientCommand(turn), ...more];
  const { success, stdout } = await new Deno.Command(program!, { args }).output();
  return { success, printed: new TextDecoder().decode(stdout) };
}

/** Two relays reach each other. */
async function checkRelays(turn: Turn, ...more: readonly string[]): Promise<void> {
  const { success, printed } = await relay(turn, "-y", ...more);
  assert.ok(success && printed.includes("Total lost packets 0 "), `${more}: ${printed}`);
}

async function checkForged(turn: Turn, address: string): Promise<void> {
  const { success, printed } = await relay({ ...turn, credential: "forged" }, "-y", address);
  assert.ok(!success && printed.includes("Cannot complete Allocation"), printed);
}

async function checkDenied(program: ServingProgram, address: string): Promise<void> {
  for (const peer of DENIED_PEERS) await checkForbidden(peer, program, address);
  for (const peer of DENIED_PEERS_V6) await checkForbidden(peer, program, "-x", address);
}

/** No client reaches this peer. It is a client of its own, as the relays of one are limited. */
async function checkForbidden(
  peer: string,
  program: ServingProgram,
  ...more: readonly string[]
): Promise<void> {
  const { printed } = await relay(await fetchCredentials(program, peer), "-e", peer, ...more);
  assert.match(printed, /403 \(Forbidden IP\)/, peer);
}

/** Runs the printed script as certbot does, with a stand-in for `systemctl`. */
async function renew(folder: string, lineage: string, systemctl: string): Promise<void> {
  const title = "/usr/local/sbin/turn-certificate";
  const script = replaceAll(printedFile(title), {
    "-g turnserver": "-g root",
    "/etc/turnserver": `${folder}/turnserver`,
    "systemctl kill --signal=USR2 coturn": systemctl,
  });
  const env = { RENEWED_LINEAGE: lineage };
  const { success, stderr } = await new Deno.Command("sh", { args: ["-c", script], env }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

async function makeLineage(folder: string): Promise<string> {
  using certificate = await Certificate.make();
  const lineage = await Deno.makeTempDir({ dir: folder });
  await Deno.copyFile(certificate.certPath, `${lineage}/fullchain.pem`);
  await Deno.copyFile(certificate.keyPath, `${lineage}/privkey.pem`);
  return lineage;
}

/** Resolves once this certificate is served. coturn's own client is no help: over TLS it hangs at random. */
async function untilServed(lineage: string): Promise<void> {
  const caCert = await Deno.readTextFile(`${lineage}/fullchain.pem`);
  while (true) {
    try {
      const tcp = await Deno.connect({ hostname: ADDRESS, port: TLS_PORT });
      using tls = await Deno.startTls(tcp, { hostname: "localhost", caCerts: [caCert] });
      await tls.handshake();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Gives this network an interface with addresses: coturn does not listen on loopback alone. */
async function addAddresses(...addresses: readonly string[]): Promise<void> {
  await ip("link", "add", "public", "type", "veth", "peer", "name", "other");
  for (const address of addresses) await ip("address", "add", address, "dev", "public", "nodad");
  await ip("link", "set", "public", "up");
}

async function ip(...args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("ip", { args: [...args] }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

/** Starts coturn with the printed configuration, and some changes. */
async function startTurn(folder: string, changes: Record<string, string> = {}) {
  const config = replaceAll(printedFile("/etc/turnserver.conf"), {
    "/etc/turnserver/": `${folder}/turnserver/`,
    "syslog": "log-file=stdout",
    ...changes,
  });
  await Deno.writeTextFile(`${folder}/conf`, `${config}static-auth-secret=${SECRET}\n`);
  const own = ["--userdb", `${folder}/db`, "--pidfile", `${folder}/pid`];
  const turnserver = new Foreground(["turnserver", "-c", `${folder}/conf`, ...own]);
  await turnserver.listensOn(3478);
  return turnserver;
}

/** Starts a program that hands out the printed ICE servers. */
async function startProgram(): Promise<ServingProgram> {
  const unit = printedFile("/etc/systemd/system/signalbox.service.d/turn.conf");
  const [, urls] = /SIGNALBOX_ICE_SERVER=(.*)/.exec(unit)!;
  return await ServingProgram.start(["--ice-server", urls!, "--turn-secret", SECRET]);
}

/** Registers, and returns the TURN server that the client is given. */
async function fetchCredentials({ url }: ServingProgram, clientId: string): Promise<Turn> {
  const client = await TestClient.register(url, clientId);
  const [stun, turn] = client.registered.ice_servers as Turn[];
  await client.close();
  assert.deepEqual(stun!.urls, ["stun:turn.example.org:3478"]);
  assert.deepEqual(turn!.urls, [
    "turn:turn.example.org:3478?transport=udp",
    "turn:turn.example.org:3478?transport=tcp",
    `turns:turn.example.org:${TLS_PORT}?transport=tcp`,
  ]);
  return turn!;
}

await startLoopback();
await addAddresses(`${ADDRESS}/32`, "2001:db8::10/128", `${PRIVATE_ADDRESS}/32`);
const folder = await Deno.makeTempDir({ prefix: "signalbox-turn-" });
try {
  await using program = await startProgram();
  const turn = await fetchCredentials(program, "alice");
  const first = await makeLineage(folder);
  await renew(folder, first, "true");
  {
    await using turnserver = await startTurn(folder);
    await checkRelays(turn, ADDRESS);
    await checkRelays(turn, "-t", ADDRESS);
    await untilServed(first);
    await checkForged(turn, ADDRESS);
    await checkDenied(program, ADDRESS);
    const renewed = await makeLineage(folder);
    await renew(folder, renewed, `kill -s USR2 ${turnserver.pid}`);
    await untilServed(renewed);
  }
  {
    await using _translated = await startTurn(folder, { "#external-ip=": "external-ip=" });
    await checkRelays(turn, PRIVATE_ADDRESS);
    await checkForbidden("127.0.0.1", program, PRIVATE_ADDRESS);
  }
} finally {
  await Deno.remove(folder, { recursive: true });
}
