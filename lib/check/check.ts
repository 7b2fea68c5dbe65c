/** Tries a running server as its clients would, through all that stands before it: a line for each step. */

import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { messageOf } from "../log.ts";
import { explainRefusal, explainSilence } from "./advice.ts";
import { CheckClient, openSocket, refusalOfOrigin } from "./client.ts";
import { type Endpoint, findAddress, resolveName } from "./connect.ts";
import { Failure, quote, showUrl } from "./failure.ts";
import { checkTls } from "./tls.ts";
import type { CheckSocket } from "./websocket.ts";

/** The server to check, and the client to check it as. */
export interface CheckRequest {
  /** `ws:` or `wss:` */
  readonly url: URL;
  /** True for this machine, which is asked by its address: its certificate has other names. */
  readonly isOwnMachine: boolean;
  readonly token: string | null;
  /** Origin of the pages that are to connect; null if none are. */
  readonly origin: string | null;
  /** Time of silence after which the clients must still be there; 0 leaves this step out. */
  readonly idleMs: number;
  /** Certificates of authorities that clients trust beside the public ones, PEM. */
  readonly caCerts: readonly string[];
}

/** Size of the large message, in bytes: more than session descriptions have. */
const LARGE_BYTES = 64 * 1024;

/** HTTP statuses of a server without capacity for another connection. */
const FULL: readonly number[] = [429, 503];

/** Result of a step: what the next ones need, and what its line says. */
type Passed<Value> = readonly [value: Value, text: string];

/** Thrown after a step has failed that others need. */
class Stopped extends Error {}

/**
 * Checks a server.
 *
 * @param print receives each line as soon as its step is over
 * @returns whether all steps went well
 */
export async function checkServer(
  request: CheckRequest,
  print: (line: string) => void,
): Promise<boolean> {
  const steps = new Steps(print);
  const clients: CheckClient[] = [];
  try {
    const endpoint = await findEndpoint(request, steps);
    const socket = await openFirst(request, endpoint, steps);
    await checkOrigin(request, endpoint, steps);
    await registerAll(request, { endpoint, socket }, steps, clients);
    await checkMessages(request, steps, clients);
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
  return !steps.hasFailed;
}

class Steps {
  readonly #print: (line: string) => void;
  hasFailed = false;

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  /**
   * Runs a step, and prints its line.
   *
   * @throws {Stopped} if it fails
   */
  async run<Value>(name: string, step: () => Promise<Passed<Value>>): Promise<Value> {
    try {
      const [value, text] = await step();
      this.#print(`✓ ${name}: ${text}`);
      return value;
    } catch (error) {
      this.fail(name, messageOf(error));
      throw new Stopped();
    }
  }

  /** Prints the line of a failed step that others do not need. */
  fail(name: string, message: string): void {
    this.hasFailed = true;
    this.#print(`✗ ${name}: ${message}`);
  }
}

/** Steps name, TCP and TLS. */
async function findEndpoint(
  { url, isOwnMachine, caCerts }: CheckRequest,
  steps: Steps,
): Promise<Endpoint> {
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port) || (url.protocol === "wss:" ? 443 : 80);
  const addresses = await steps.run("name", async () => {
    const found = await resolveName(hostname);
    const isAddress = found.includes(hostname);
    return [found, isAddress ? `${hostname} is an address` : `${hostname} is ${found.join(", ")}`];
  });
  const address = await steps.run("TCP", async () => {
    const [found, ms] = await timed(() => findAddress(addresses, port));
    const others = found.others.length === 0 ? "" : `; not at ${found.others.join("; ")}`;
    return [found.address, `${found.address}, port ${port}, answers in ${ms}${others}`];
  });
  if (url.protocol !== "wss:") return { address, port, tls: null };
  const tls = await steps.run("TLS", async () => {
    const asked = { address, port, tls: { hostname, caCerts: [...caCerts] } };
    const { tls, text } = await checkTls(asked, isOwnMachine);
    return [tls, text];
  });
  return { address, port, tls };
}

function openFirst({ url }: CheckRequest, endpoint: Endpoint, steps: Steps): Promise<CheckSocket> {
  return steps.run("upgrade", async () => {
    const [socket, ms] = await timed(() => openSocket(endpoint, url));
    return [socket, `a WebSocket opens at ${showUrl(url)} in ${ms}`];
  });
}

/** Tries to connect as a page does. Clients that are no pages do not depend on it. */
async function checkOrigin(
  { url, origin }: CheckRequest,
  endpoint: Endpoint,
  steps: Steps,
): Promise<void> {
  if (origin === null) return;
  const trying = refusalOfOrigin(endpoint, url, origin);
  const isFull = await trying.then((refusal) => FULL.includes(refusal?.status ?? 0), () => false);
  const step = async (): Promise<Passed<null>> => {
    const refusal = await trying;
    if (refusal === null) return [null, `pages of ${origin} may connect`];
    if (refusal.status !== 403) throw new Failure(explainRefusal(refusal, url, true));
    throw new Failure(
      `Pages of ${origin} may not connect (403: ${quote(refusal.body)}). Start the server with ` +
        `--allow-origin ${origin}, too; or, if your pages have another origin, name it here with ` +
        "--origin.",
    );
  };
  const name = isFull ? "second connection" : "origin"; // no page is the reason then
  await steps.run(name, step).catch((error) => {
    if (isFull || !(error instanceof Stopped)) throw error;
  });
}

interface FirstSocket {
  readonly endpoint: Endpoint;
  readonly socket: CheckSocket;
}

/** Registers two clients; with a token for one ID, the one. */
async function registerAll(
  { url, token }: CheckRequest,
  { endpoint, socket }: FirstSocket,
  steps: Steps,
  clients: CheckClient[],
): Promise<void> {
  const { sub, room } = claimsOf(token);
  const name = `signalbox-check-${randomBytes(4).toString("hex")}`;
  const registration = { room: room ?? name, token };
  const ids = sub === null ? [`${name}-a`, `${name}-b`] : [sub];
  await steps.run("register", async () => {
    for (const clientId of ids) {
      const opened = clients.length === 0 ? socket : await openSocket(endpoint, url);
      clients.push(await CheckClient.register(opened, { ...registration, clientId }));
    }
    const text = sub === null ? "two clients are registered" : `one client, as the token's ${sub}`;
    return [null, room === null ? text : `${text}, in room ${room}`];
  });
}

/** Steps of clients that are registered. */
async function checkMessages(
  { idleMs }: CheckRequest,
  steps: Steps,
  clients: readonly CheckClient[],
): Promise<void> {
  const first = clients[0]!;
  const second = clients[1] ?? first;
  const exchange = async () => {
    const there = (await timed(() => first.deliver(second, "")))[1];
    if (first === second) return `to its own ID in ${there}`;
    return `there in ${there}, back in ${(await timed(() => second.deliver(first, "")))[1]}`;
  };
  await steps.run("messages", async () => [null, await exchange()]);
  await steps.run("ICE servers", () => Promise.resolve([null, describeIce(first.registered)]));
  await steps.run("large message", async () => {
    const [, ms] = await timed(() => first.deliver(second, "x".repeat(LARGE_BYTES)));
    return [null, `${LARGE_BYTES / 1024} KiB in ${ms}`];
  });
  if (idleMs === 0) return;
  await steps.run("idle", async () => {
    await staySilent(clients, idleMs);
    return [null, `still there after ${idleMs / 1000} s of silence; messages ${await exchange()}`];
  });
}

/** @throws {Failure} if a connection ends meanwhile */
async function staySilent(clients: readonly CheckClient[], ms: number): Promise<void> {
  const startedAtMs = performance.now();
  const over = Promise.withResolvers<void>();
  const timer = setTimeout(over.resolve, ms);
  try {
    await Promise.race([
      over.promise,
      ...clients.map(async ({ ended }) => {
        const { code, reason } = await ended;
        const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1);
        const how = code === 1006 ? "" : ` It was closed with ${code} ${quote(reason)}.`;
        throw new Failure(explainSilence(seconds) + how);
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}

/** Names the ICE servers that clients are given. */
function describeIce({ ice_servers: servers }: CheckClient["registered"]): string {
  if (!Array.isArray(servers) || servers.length === 0) {
    return "none are handed out: peers in different networks may not reach each other (--ice-server)";
  }
  return servers.map(({ urls, username }) => {
    const list = [urls].flat().map(String).join(", ");
    const [, expiry] = /^(\d+):/.exec(String(username ?? "")) ?? [];
    if (expiry === undefined) return username === undefined ? list : `${list} with credentials`;
    const minutes = Math.round((Number(expiry) - Date.now() / 1000) / 60);
    if (minutes > 0) return `${list} with credentials for ${minutes} minutes`;
    throw new Failure(
      `The credentials for ${list} have expired already. Check the clocks of the server and of ` +
        "this machine, and --turn-ttl.",
    );
  }).join("; ");
}

/** Reads what a token is for, without a check of it. A room is needed if the token names some. */
function claimsOf(token: string | null): { sub: string | null; room: string | null } {
  try {
    const payload = Buffer.from(token?.split(".")[1] ?? "", "base64url").toString();
    const { sub, room } = JSON.parse(payload);
    const [first] = [room].flat();
    return {
      sub: typeof sub === "string" ? sub : null,
      room: typeof first === "string" ? first : null,
    };
  } catch {
    return { sub: null, room: null };
  }
}

async function timed<Value>(run: () => Promise<Value>): Promise<Passed<Value>> {
  const startedAtMs = performance.now();
  const value = await run();
  return [value, `${Math.round(performance.now() - startedAtMs)} ms`];
}
