/** The public port: plain HTTP, the upgrade to WebSocket, and the way from start to shutdown. */

import { type Clock, Deadlines } from "./clock.ts";
import { Connection } from "./connection.ts";
import type { Events } from "./events.ts";
import { checkHandshake, refuse, wantsWebSocket } from "./handshake.ts";
import type { Options } from "./options.ts";
import { Router } from "./router.ts";

export type ServerOptions = Pick<
  Options,
  "host" | "port" | "onDuplicate" | "registerTimeoutMs" | "idleTimeoutMs" | "drainTimeoutMs"
>;

const LISTEN_AGAIN_DELAY_MS = 100;
/** Of the drain timeout: the rest is for the process to end. */
const DRAIN_SHARE = 0.9;

export class Server {
  readonly #options: ServerOptions;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #version: string;
  readonly #router: Router;
  readonly #startedAtMs: number;
  readonly #connections = new Set<Connection>();
  readonly #unregistered: Deadlines<Connection>;
  #listener: Deno.HttpServer<Deno.NetAddr>;
  #draining = false;
  #onAllEnded = () => {};

  /**
   * Starts to listen.
   *
   * @throws {Deno.errors.AddrInUse} and what else listening can throw
   */
  constructor(options: ServerOptions, version: string, clock: Clock, events: Events) {
    this.#options = options;
    this.#clock = clock;
    this.#events = events;
    this.#version = version;
    this.#router = new Router(options.onDuplicate, events);
    this.#startedAtMs = clock.now();
    this.#unregistered = new Deadlines(
      clock,
      options.registerTimeoutMs,
      (connection) => this.#giveUp(connection),
    );
    this.#listener = this.#listen(options.port);
    this.#keepListening();
  }

  /** Where it listens; the port that was picked, where 0 was asked for. */
  get address(): Deno.NetAddr {
    return this.#listener.addr;
  }

  #listen(port: number): Deno.HttpServer<Deno.NetAddr> {
    return Deno.serve(
      {
        hostname: this.#options.host,
        port,
        onListen: () => {},
        onError: (error) => this.#crashed(error),
      },
      (request, info) => this.#answer(request, info.remoteAddr.hostname),
    );
  }

  /** Running out of file descriptors ends the runtime's listener, but not the connections: so listen again. */
  async #keepListening(): Promise<void> {
    const { port } = this.address;
    while (true) {
      await this.#listener.finished.catch((error) => this.#events.listenerFailed(error));
      if (this.#draining) return;
      await new Promise<void>((resolve) => this.#clock.after(LISTEN_AGAIN_DELAY_MS, resolve));
      try {
        this.#listener = this.#listen(port);
      } catch (error) {
        this.#events.listenerFailed(error);
      }
    }
  }

  #crashed(error: unknown): Response {
    this.#events.crashed("request", error);
    return new Response("Internal error.\n", { status: 500 });
  }

  #answer(request: Request, address: string): Response {
    if (wantsWebSocket(request.headers)) return this.#upgrade(request, address);
    const { pathname } = new URL(request.url);
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (isRead && pathname === "/healthz") return this.#health();
    return new Response("Not found.\n", { status: 404 });
  }

  #health(): Response {
    const report = {
      status: this.#draining ? "draining" : "ok",
      clients: this.#router.size,
      version: this.#version,
      uptime_seconds: Math.floor((this.#clock.now() - this.#startedAtMs) / 1000),
    };
    return Response.json(report, {
      status: this.#draining ? 503 : 200,
      headers: { "access-control-allow-origin": "*", "cache-control": "no-store" },
    });
  }

  #upgrade(request: Request, address: string): Response {
    if (this.#draining) return refuse({ status: 503, message: "The server is shutting down." });
    const refusal = checkHandshake(request.method, request.headers);
    if (refusal !== null) return refuse(refusal);
    // From here on nothing may throw: an upgrade whose response is not returned stops the runtime's listener.
    const { socket, response } = Deno.upgradeWebSocket(request, {
      idleTimeout: this.#options.idleTimeoutMs / 1000,
    });
    this.#attend(socket, address);
    return response;
  }

  #attend(socket: WebSocket, address: string): void {
    const connection = new Connection(socket, address, {
      router: this.#router,
      events: this.#events,
      onRegistered: (connection) => this.#unregistered.delete(connection),
    });
    this.#connections.add(connection);
    this.#unregistered.add(connection);
    this.#events.connected(address);
    socket.onopen = () => connection.opened();
    socket.onmessage = ({ data }) => connection.receive(data);
    socket.onclose = ({ code }) => this.#ended(connection, code);
  }

  #giveUp(connection: Connection): void {
    connection.reject("register_timeout", "No valid register message came in time.");
    if (!connection.isOpen) this.#ended(connection, 0); // a client that left during the upgrade: no event will come
  }

  /** The socket is gone. It may be said twice of the same one. */
  #ended(connection: Connection, code: number): void {
    if (!this.#connections.delete(connection)) return;
    this.#unregistered.delete(connection);
    connection.ended();
    this.#events.disconnected(connection.address, code);
    if (this.#connections.size === 0) this.#onAllEnded();
  }

  /**
   * Shuts down: refuses what is new, closes what there is, and resolves when all of it has ended, at the latest
   * when the drain timeout is nearly over. A client may never answer a close, so somebody has to end the process then.
   */
  async drain(): Promise<void> {
    this.#draining = true;
    const allEnded = new Promise<void>((resolve) => this.#onAllEnded = resolve);
    for (const connection of this.#connections) connection.close("shutting_down");
    if (this.#connections.size === 0) this.#onAllEnded();
    let cancel = () => {};
    const timeUp = new Promise<void>((resolve) => {
      cancel = this.#clock.after(this.#options.drainTimeoutMs * DRAIN_SHARE, resolve);
    });
    await Promise.race([allEnded.then(() => this.#listener.shutdown()), timeUp]);
    cancel();
  }
}
