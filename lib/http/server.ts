/** The public port: plain HTTP, the upgrade to WebSocket, and the way from start to shutdown. */

import { clientAddress } from "./address.ts";
import type { Authenticator } from "../auth/tokens.ts";
import { type Clock, Deadlines } from "../clock.ts";
import { Cluster } from "../cluster/cluster.ts";
import { signalbox } from "../dialects/signalbox.ts";
import { Capacity } from "../relay/capacity.ts";
import { Connection, type ConnectionDeps } from "../relay/connection.ts";
import { LocalDirectory } from "../relay/directory.ts";
import type { Emit } from "../events.ts";
import { bearerToken, checkHandshake, type Refusal, refuse, wantsWebSocket } from "./handshake.ts";
import { iceServers } from "../auth/turn.ts";
import { Listener } from "./listener.ts";
import type { Options } from "../config/options.ts";
import { Documents } from "./documents.ts";
import { readPages } from "./pages.ts";
import { Registrar } from "../relay/registration.ts";
import { Router } from "../relay/router.ts";
import { BufferedTotal } from "../relay/send_buffer.ts";
import type { StaticFiles } from "./static_files.ts";

/** What a server is made of, beside its options. */
export interface Parts {
  readonly version: string;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Null where nobody needs a token. */
  readonly authenticator: Authenticator | null;
  /** PEM; null for a port without TLS. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** Whether there is too little memory left to let anybody in. */
  isMemoryTight(): boolean;
}

/** Of the drain timeout: the rest is for the process to end. */
const DRAIN_SHARE = 0.9;
/** How many times within the idle timeout it is looked whether clients read. */
const LOOKS_PER_IDLE_TIMEOUT = 8;

export class Server {
  readonly #options: Options;
  readonly #parts: Parts;
  readonly #pages: StaticFiles;
  readonly #documents = new Documents();
  readonly #router: Router;
  readonly #cluster: Cluster | null;
  readonly #capacity: Capacity;
  readonly #deps: ConnectionDeps;
  readonly #startedAtMs: number;
  /** All sockets, also those that are closing and never end it. */
  readonly #connections = new Set<Connection>();
  readonly #unregistered: Deadlines<Connection>;
  readonly #listener: Listener;
  #isDraining = false;
  #onAllEnded = () => {};
  #cancelLook = () => {};

  /**
   * Starts to listen.
   *
   * @throws {Deno.errors.AddrInUse} and what else listening can throw
   */
  constructor(options: Options, parts: Parts) {
    const { clock, emit, authenticator } = parts;
    this.#options = options;
    this.#parts = parts;
    this.#pages = readPages(!options.noPage);
    this.#capacity = new Capacity(options);
    let cluster: Cluster | null = null;
    this.#router = new Router(options, this.#capacity, clock, emit, (router) => {
      if (options.redisUrl === undefined) return new LocalDirectory(options, router, clock, emit);
      return cluster = new Cluster(options.redisUrl, options, router, clock, emit);
    });
    this.#cluster = cluster;
    this.#deps = {
      options,
      registrar: new Registrar({
        router: this.#router,
        capacity: this.#capacity,
        authenticator,
        iceServersFor: iceServersFor(options),
      }),
      router: this.#router,
      dialects: [signalbox],
      bufferedTotal: new BufferedTotal(
        (options as { maxBufferedTotalBytes?: number }).maxBufferedTotalBytes ?? Infinity,
      ),
      clock,
      emit,
      onRegistered: (connection) => this.#unregistered.delete(connection),
    };
    this.#startedAtMs = clock.now();
    this.#unregistered = new Deadlines(
      clock,
      options.registerTimeoutMs,
      (connection) => this.#giveUp(connection),
    );
    this.#listener = new Listener(
      { hostname: options.host, port: options.port, ...parts.tls },
      clock,
      emit,
      (request, peer) => this.#answer(request, peer),
    );
    if (options.idleTimeoutMs > 0) this.#lookAgain();
  }

  /** Joins the cluster, if there is one. Resolves after the first attempt: a node that cannot serves alone, and goes on trying. */
  async join(): Promise<void> {
    await this.#cluster?.start();
  }

  /** Where it listens; the port that was picked, where 0 was asked for. */
  get address(): Deno.NetAddr {
    return this.#listener.address;
  }

  /** All sockets: those that have not registered, and those that are closing, among them. */
  get connections(): ReadonlySet<Connection> {
    return this.#connections;
  }

  /** How many clients are registered and connected. */
  get clients(): number {
    return this.#router.connected;
  }

  /** How many messages wait in the mailbox; in a cluster, of this node's clients. */
  get storedMessages(): number {
    return this.#router.directory.stored;
  }

  /** Whether it speaks wss and https. */
  get isSecure(): boolean {
    return this.#parts.tls !== null;
  }

  #answer(request: Request, peer: string): Response | Promise<Response> {
    if (wantsWebSocket(request.headers)) return this.#upgrade(request, peer);
    const isRead = request.method === "GET" || request.method === "HEAD";
    const pathname = URL.parse(request.url)?.pathname ?? "";
    if (isRead && pathname === "/healthz") return this.#health();
    const file = isRead
      ? this.#documents.answer(pathname, request) ?? this.#pages.answer(pathname, request)
      : null;
    return file ?? new Response("Not found.\n", { status: 404 });
  }

  #health(): Response {
    const report = {
      status: this.#status(),
      clients: this.clients,
      version: this.#parts.version,
      uptime_seconds: Math.floor((this.#parts.clock.now() - this.#startedAtMs) / 1000),
    };
    return Response.json(report, {
      status: this.#isDraining ? 503 : 200,
      headers: { "access-control-allow-origin": "*", "cache-control": "no-store" },
    });
  }

  #status(): "draining" | "degraded" | "ok" {
    if (this.#isDraining) return "draining";
    return this.#cluster?.isDegraded ? "degraded" : "ok";
  }

  #upgrade(request: Request, peer: string): Response {
    const { headers } = request;
    const { idleTimeoutMs, trustProxy = null } = this.#options;
    // No header is read that does not matter: each takes the runtime a microsecond.
    const forwardedFor = trustProxy && headers.get("x-forwarded-for");
    const address = clientAddress(peer, forwardedFor, trustProxy);
    const token = this.#parts.authenticator && bearerToken(headers, request.url);
    const refusal = checkHandshake(request.method, headers) ??
      this.#checkOrigin(headers) ?? this.#checkCapacity(address);
    if (refusal !== null) return refuse(refusal);
    // From here on nothing may throw: an upgrade whose response is not returned stops the runtime's listener.
    const idleTimeout = idleTimeoutMs / 1000;
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout });
    socket.binaryType = "arraybuffer";
    this.#attend(socket, new Connection(socket, address, token, this.#deps));
    return response;
  }

  #checkOrigin(headers: Headers): Refusal | null {
    const { allowOrigins } = this.#options;
    const origin = allowOrigins === undefined ? null : headers.get("origin");
    if (origin === null || allowOrigins?.includes(origin)) return null;
    return { status: 403, message: "Pages of this origin may not connect." };
  }

  #checkCapacity(address: string): Refusal | null {
    if (this.#isDraining) return { status: 503, message: "The server is shutting down." };
    if (!this.#capacity.hasCapacityForConnection) {
      return { status: 503, message: "The server is full (--max-connections)." };
    }
    if (this.#parts.isMemoryTight()) {
      return { status: 503, message: "The server is short of memory (--max-memory)." };
    }
    if (!this.#capacity.hasCapacityForAddress(address)) {
      const message = "Too many connections from this address (--max-connections-per-ip).";
      return { status: 429, message };
    }
    return null;
  }

  #attend(socket: WebSocket, connection: Connection): void {
    this.#connections.add(connection);
    this.#capacity.countConnection(connection.address, 1);
    this.#unregistered.add(connection);
    this.#parts.emit({ kind: "connection_opened", address: connection.address });
    socket.onmessage = ({ data }) => connection.receive(data);
    socket.onclose = ({ code }) => this.#ended(connection, code);
  }

  #giveUp(connection: Connection): void {
    connection.reject("register_timeout", "No valid register message came in time.");
    if (connection.isConnecting) this.#ended(connection, 0); // it left during the upgrade: no event will come
  }

  /** The socket is gone. It may be said twice of the same one. */
  #ended(connection: Connection, code: number): void {
    if (!this.#connections.delete(connection)) return;
    this.#capacity.countConnection(connection.address, -1);
    this.#unregistered.delete(connection);
    connection.ended(code);
    const { address, closedFor: reason } = connection;
    this.#parts.emit({ kind: "connection_closed", address, code, reason });
    if (this.#connections.size === 0) this.#onAllEnded();
  }

  #lookAgain(): void {
    const { clock } = this.#parts;
    const delayMs = this.#options.idleTimeoutMs / LOOKS_PER_IDLE_TIMEOUT;
    this.#cancelLook = clock.after(delayMs, () => {
      for (const connection of this.#connections) connection.checkStalled();
      this.#lookAgain();
    });
  }

  /**
   * Shuts down: refuses what is new, closes what there is, and resolves when all of it has ended, at the latest
   * when the time is nearly over. A client may never answer a close, so somebody has to end the process then.
   */
  async drain(timeoutMs: number = this.#options.drainTimeoutMs): Promise<void> {
    this.#isDraining = true;
    this.#cancelLook();
    let cancel = () => {};
    const timeUp = new Promise<void>((resolve) => {
      cancel = this.#parts.clock.after(timeoutMs * DRAIN_SHARE, resolve);
    });
    await Promise.race([this.#router.directory.expireStored(), timeUp]);
    const allEnded = new Promise<void>((resolve) => this.#onAllEnded = resolve);
    for (const connection of this.#connections) connection.close("shutting_down");
    if (this.#connections.size === 0) this.#onAllEnded();
    const end = Promise.all([
      this.#router.directory.stop(),
      allEnded.then(() => this.#listener.stop()),
    ]);
    await Promise.race([end, timeUp]);
    cancel();
    this.#router.stop();
  }
}

function iceServersFor({ iceServers: urls, turnSecret, turnTtlMs }: Options) {
  if (urls === undefined) return null;
  return (clientId: string) => iceServers({ urls, turnSecret, turnTtlMs }, clientId, Date.now());
}
