/** The server of the public port: HTTP, upgrades to WebSocket, a new certificate, and the shutdown. */

import { checkOrigin, clientAddress } from "./admission.ts";
import type { Authenticator } from "../auth/tokens.ts";
import { type Clock, Deadlines } from "../clock.ts";
import type { ClusterOptions } from "../cluster/cluster.ts";
import { Clusters } from "../cluster/clusters.ts";
import { createDialects, type DialectOptions } from "../dialects/dialects.ts";
import { Capacity, type CapacityOptions } from "../relay/capacity.ts";
import { Connection, type ConnectionDeps, type ConnectionOptions } from "../relay/connection.ts";
import { LocalDirectory } from "../relay/directory.ts";
import type { Emit } from "../events.ts";
import type { TlsFiles } from "./certificate.ts";
import { atMost, closeSpread, wait } from "./drain.ts";
import {
  bearerToken,
  checkHandshake,
  type Handshake,
  readHandshake,
  type Refusal,
  refuse,
} from "./handshake.ts";
import { type IceConfig, iceServers } from "../auth/turn.ts";
import { Listener } from "./listener.ts";
import type { Options } from "../config/options.ts";
import { type Health, Site } from "./site.ts";
import { Registrar } from "../relay/registration.ts";
import { Router } from "../relay/router.ts";
import { BufferedTotal } from "../relay/send_buffer.ts";

/** The options that a server reads itself, beside those that it passes on. */
type OwnOptions = Pick<
  Options,
  | "host"
  | "port"
  | "noPage"
  | "redisUrls"
  | "registerTimeoutMs"
  | "idleTimeoutMs"
  | "maxBufferedTotalBytes"
  | "allowOrigins"
  | "trustProxy"
  | "iceServers"
  | "drainDelayMs"
  | "drainTimeoutMs"
>;

type ServerOptions =
  & OwnOptions
  & CapacityOptions
  & ConnectionOptions
  & DialectOptions
  & ClusterOptions
  & Omit<IceConfig, "urls">;

/** The dependencies of a server. */
export interface ServerDeps {
  readonly version: string;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Null if clients need no token. */
  readonly authenticator: Authenticator | null;
  /** Null for a port without TLS. */
  readonly tls: TlsFiles | null;
  /** Returns whether too little memory is left for another connection. */
  isMemoryTight(): boolean;
}

/** Share of the drain timeout that a drain may take; the rest is for the process to end. */
const DRAIN_SHARE = 0.9;
/** Share of the drain timeout that the senders of stored messages may take to be notified. */
const EXPIRE_SHARE = 0.25;
/** Share of the drain timeout over which many clients are closed. */
const SPREAD_SHARE = 0.5;
/** Time that clients have to answer a close before a new certificate cuts them off. */
const RELOAD_TIMEOUT_MS = 1000;
/** The number of checks for stalled clients within one idle timeout. */
const CHECKS_PER_IDLE_TIMEOUT = 8;

/** The reason in the close event of a connection that the runtime closes because a ping was not answered. */
const NO_PONG = "No response from ping frame.";

/** Memory that the runtime takes for an idle connection, in bytes, as measured. */
const CONNECTION_BYTES = 24 * 1024;
/** Memory that the runtime takes for each byte that waits in a send buffer, as measured with messages of 1 KiB. */
const MEMORY_PER_BUFFERED_BYTE = 2.8;

export class Server {
  readonly #options: ServerOptions;
  readonly #deps: ServerDeps;
  readonly #site: Site;
  readonly #router: Router;
  readonly #cluster: Clusters | null;
  readonly #capacity: Capacity;
  readonly #connectionDeps: ConnectionDeps;
  readonly #startedAtMs: number;
  /** All connections, also those whose client never answers a close. */
  readonly #connections = new Set<Connection>();
  readonly #unregistered: Deadlines<Connection>;
  readonly #listener: Listener;
  /** The reason for which no connection is accepted; null if they are. */
  #closedFor: "shutting down" | "restarting" | null = null;
  #hasWarnedOfProxy = false;
  #onAllEnded = () => {};
  #cancelCheck = () => {};

  /**
   * Starts to listen.
   *
   * @throws {Deno.errors.AddrInUse} and what else listening can throw
   */
  constructor(options: ServerOptions, deps: ServerDeps) {
    const { clock, emit, authenticator } = deps;
    this.#options = options;
    this.#deps = deps;
    this.#capacity = new Capacity(options);
    let cluster: Clusters | null = null;
    this.#router = new Router(options, this.#capacity, clock, emit, (router) => {
      const { redisUrls } = options;
      if (redisUrls === undefined) return new LocalDirectory(options, router, clock, emit);
      return cluster = new Clusters(redisUrls, { options, router, clock, emit });
    });
    this.#cluster = cluster;
    this.#connectionDeps = {
      options,
      registrar: new Registrar({
        router: this.#router,
        capacity: this.#capacity,
        authenticator,
        iceServersFor: iceServersFor(options),
      }),
      router: this.#router,
      dialects: createDialects(options, authenticator !== null),
      bufferedTotal: new BufferedTotal(options.maxBufferedTotalBytes),
      clock,
      emit,
      onRegistered: (connection) => this.#unregistered.delete(connection),
    };
    this.#site = new Site({
      hasPage: !options.noPage,
      allowOrigins: options.allowOrigins,
      dialects: this.#connectionDeps.dialects,
      listIds: (room) => this.#router.directory.listIds(room),
      health: () => this.#health,
    });
    this.#startedAtMs = clock.now();
    this.#unregistered = new Deadlines(
      clock,
      options.registerTimeoutMs,
      (connection) => this.#rejectUnregistered(connection),
    );
    this.#listener = new Listener(
      { hostname: options.host, port: options.port, tls: deps.tls },
      clock,
      emit,
      (request, peer) => this.#answer(request, peer),
    );
    if (options.idleTimeoutMs > 0) this.#checkStalled();
  }

  /** Joins the cluster, if there is one. Resolves after the first attempt; a node that fails serves alone, and retries. */
  async join(): Promise<void> {
    await this.#cluster?.start();
  }

  /** The address of the listener, with the port that was picked for port 0. */
  get address(): Deno.NetAddr {
    return this.#listener.address;
  }

  /** All connections, unregistered and closing ones included. */
  get connections(): ReadonlySet<Connection> {
    return this.#connections;
  }

  /** The number of clients that are registered and connected. */
  get clients(): number {
    return this.#router.connected;
  }

  /** The number of stored messages; in a cluster, those of this node's clients. */
  get storedMessages(): number {
    return this.#router.directory.stored;
  }

  /** True while Redis can be used; null without a cluster. */
  get isClusterUp(): boolean | null {
    return this.#cluster && !this.#cluster.isDegraded;
  }

  /** Estimate of the memory that connections hold outside of the heap, in bytes. */
  get heldBytes(): number {
    return this.#connections.size * CONNECTION_BYTES +
      this.#connectionDeps.bufferedTotal.bytes * MEMORY_PER_BUFFERED_BYTE;
  }

  /** True for wss and https. */
  get isSecure(): boolean {
    return this.#deps.tls !== null;
  }

  #answer(request: Request, peer: string): Response | Promise<Response> {
    const handshake = readHandshake(request.method, request.headers);
    return handshake !== null
      ? this.#upgrade(request, handshake, peer)
      : this.#site.answer(request, new URL(urlOf(request)).pathname);
  }

  get #health(): Health {
    return {
      status: this.#status(),
      clients: this.clients,
      version: this.#deps.version,
      uptime_seconds: Math.floor((this.#deps.clock.now() - this.#startedAtMs) / 1000),
    };
  }

  get #isDraining(): boolean {
    return this.#closedFor === "shutting down";
  }

  #status(): Health["status"] {
    if (this.#isDraining) return "draining";
    return this.#cluster?.isDegraded ? "degraded" : "ok";
  }

  #upgrade(request: Request, handshake: Handshake, peer: string): Response {
    const { headers } = request;
    const { idleTimeoutMs, trustProxy = null, allowOrigins } = this.#options;
    const address = clientAddress(peer, headers, trustProxy, (entry) => this.#warnOfProxy(entry));
    const url = urlOf(request);
    const token = this.#deps.authenticator && bearerToken(headers, url);
    const refusal = checkHandshake(handshake) ??
      checkOrigin(headers, allowOrigins) ?? this.#checkCapacity(address);
    if (refusal !== null) {
      this.#deps.emit({ kind: "connection_refused", address, ...refusal });
      return refuse(refusal);
    }
    // From here on nothing may throw: an upgrade whose response is not returned stops the runtime's listener.
    const idleTimeout = idleTimeoutMs / 1000;
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout });
    socket.binaryType = "arraybuffer";
    // A browser closes a connection whose offer is not answered (RFC 6455 section 4.1). With the option `protocol`,
    // the runtime would answer an offer such as `a,b` with 500.
    const { protocol } = handshake;
    if (protocol !== null) response.headers.set("sec-websocket-protocol", protocol);
    this.#attend(socket, new Connection(socket, { address, url, token }, this.#connectionDeps));
    return response;
  }

  /** Warns once, because a proxy repeats its error in every request. */
  #warnOfProxy(entry: string): void {
    if (this.#hasWarnedOfProxy) return;
    this.#hasWarnedOfProxy = true;
    const message = `A proxy sent an address that is none, ${JSON.stringify(entry)}, in ` +
      "X-Forwarded-For or X-Real-IP. The proxy's own address counts as the client's.";
    this.#deps.emit({ kind: "warning", message });
  }

  #checkCapacity(address: string): Refusal | null {
    const { maxConnections, maxConnectionsPerIp } = this.#options;
    if (this.#closedFor !== null) {
      return { status: 503, message: `The server is ${this.#closedFor}.` };
    }
    if (!this.#capacity.hasCapacityForConnection) {
      const message = `The server is full: --max-connections is ${maxConnections}.`;
      return { status: 503, message };
    }
    if (this.#deps.isMemoryTight()) {
      return { status: 503, message: "The server is short of memory (--max-memory)." };
    }
    if (!this.#capacity.hasCapacityForAddress(address)) {
      const message = "Too many connections from this address: " +
        `--max-connections-per-ip is ${maxConnectionsPerIp}.`;
      return { status: 429, message };
    }
    return null;
  }

  #attend(socket: WebSocket, connection: Connection): void {
    this.#connections.add(connection);
    this.#capacity.countConnection(connection.address, 1);
    this.#unregistered.add(connection);
    this.#deps.emit({ kind: "connection_opened", address: connection.address });
    if (connection.registersByUrl) socket.onopen = () => connection.opened();
    socket.onmessage = ({ data }) => connection.receive(data);
    socket.onclose = ({ code, reason }) => this.#ended(connection, code, reason);
  }

  #rejectUnregistered(connection: Connection): void {
    connection.rejectUnregistered();
    if (connection.isConnecting) this.#ended(connection, 0); // disconnected during the upgrade: no event will come
  }

  /** Cleans up after a socket. The runtime may report the end of the same one twice. */
  #ended(connection: Connection, code: number, text = ""): void {
    if (!this.#connections.delete(connection)) return;
    this.#capacity.countConnection(connection.address, -1);
    this.#unregistered.delete(connection);
    connection.ended(code, text === NO_PONG ? "unanswered_ping" : null);
    const { address, closedFor: reason } = connection;
    this.#deps.emit({ kind: "connection_closed", address, code, reason });
    if (this.#connections.size === 0) this.#onAllEnded();
  }

  #checkStalled(): void {
    const { clock } = this.#deps;
    const delayMs = this.#options.idleTimeoutMs / CHECKS_PER_IDLE_TIMEOUT;
    this.#cancelCheck = clock.after(delayMs, () => {
      for (const connection of this.#connections) connection.checkStalled();
      this.#checkStalled();
    });
  }

  /**
   * Listens with another certificate. The clients are closed with 1012 and reconnect; held IDs, stored messages and the
   * cluster membership stay.
   *
   * @throws {Error} if it cannot listen
   */
  async reload(tls: TlsFiles): Promise<void> {
    if (this.#closedFor !== null) return;
    this.#closedFor = "restarting";
    try {
      for (const connection of this.#connections) connection.close("shutting_down");
      await atMost(RELOAD_TIMEOUT_MS, this.#deps.clock, this.#allEnded());
      if (this.#isDraining) return;
      await this.#listener.renew(tls);
    } finally {
      if (this.#closedFor === "restarting") this.#closedFor = null;
    }
  }

  /**
   * Shuts down: refuses new connections at once, and closes the others after a delay. Resolves when all of them have
   * ended, at the latest when the time is nearly over, as a client may never answer a close.
   */
  async drain(
    timeoutMs: number = this.#options.drainTimeoutMs,
    delayMs: number = this.#options.drainDelayMs,
  ): Promise<void> {
    const { clock } = this.#deps;
    this.#closedFor = "shutting down";
    if (delayMs > 0) await wait(delayMs, clock);
    this.#cancelCheck();
    try {
      await atMost(timeoutMs * DRAIN_SHARE, clock, this.#closeAll(timeoutMs));
    } finally {
      this.#router.stop();
    }
  }

  async #closeAll(timeoutMs: number): Promise<void> {
    const { clock } = this.#deps;
    const { directory } = this.#router;
    await atMost(timeoutMs * EXPIRE_SHARE, clock, Promise.resolve(directory.expireStored()));
    await closeSpread(
      this.#connections,
      timeoutMs * SPREAD_SHARE,
      clock,
      (connection) => connection.close("shutting_down"),
    );
    await Promise.all([
      directory.stop(),
      this.#allEnded().then(() => this.#listener.stop()),
    ]);
  }

  /** Resolves when there is no connection any more. */
  #allEnded(): Promise<void> {
    return new Promise((resolve) => {
      this.#onAllEnded = resolve;
      if (this.#connections.size === 0) resolve();
    });
  }
}

/** Returns the requested URL with a fixed host, because clients may send any text as Host. */
function urlOf({ url, headers }: Request): string {
  const target = url.slice(url.indexOf("://") + "://".length);
  const host = headers.get("host"); // HTTP/2 has none
  const path = host && target.startsWith(host)
    ? target.slice(host.length)
    : target.replace(/^[^/]*/, "");
  return path.startsWith("/") ? `http://host${path}` : "http://host/";
}

function iceServersFor({ iceServers: urls, ...turn }: ServerOptions) {
  if (urls === undefined) return null;
  return (clientId: string) => iceServers({ urls, ...turn }, clientId, Date.now());
}
