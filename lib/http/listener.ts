/** Listens for HTTP requests, and listens again if the runtime's listener ends. */

import type { Clock } from "../clock.ts";
import type { Emit } from "../events.ts";
import type { TlsFiles } from "./certificate.ts";

/** Interval of checks whether the runtime still listens. */
const CHECK_EVERY_MS = 500;
/** Time that the system may take to free the port of a listener that has ended. */
const PORT_FREE_MS = 2000;
const RETRY_EVERY_MS = 10;

/**
 * Upper bound of the connections that wait to be accepted, which Deno 2.4 does not know; the system may have a lower one. If
 * that is reached while all clients come back at once, those left over try again after a second.
 */
const LISTEN_QUEUE = { tcpBacklog: 4096 };

/** An address to listen on. */
interface ListenOptions {
  readonly hostname: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Null for http. */
  readonly tls: TlsFiles | null;
}

/** Answers a request. `peer` is the IP address at the other end of the connection. */
export type Handler = (request: Request, peer: string) => Response | Promise<Response>;

export class Listener {
  readonly #options: ListenOptions;
  readonly #handler: Handler;
  readonly #clock: Clock;
  readonly #emit: Emit;
  #tls: TlsFiles | null;
  #server: Deno.HttpServer<Deno.NetAddr>;
  #abort = new AbortController();
  /** The error that ended the runtime's listener; null if none is known. */
  #error: unknown = null;
  #cancelCheck = () => {};

  /**
   * Starts to listen.
   *
   * @throws {Deno.errors.AddrInUse} and what else listening can throw
   */
  constructor(options: ListenOptions, clock: Clock, emit: Emit, handler: Handler) {
    this.#options = options;
    this.#handler = handler;
    this.#clock = clock;
    this.#emit = emit;
    this.#tls = options.tls;
    this.#server = this.#listen(options.port);
    this.#keepListening();
  }

  /** The address, with the port that was picked for port 0. */
  get address(): Deno.NetAddr {
    return this.#server.addr;
  }

  #listen(port: number): Deno.HttpServer<Deno.NetAddr> {
    const abort = new AbortController();
    const server = Deno.serve(
      {
        hostname: this.#options.hostname,
        port,
        ...this.#tls,
        ...LISTEN_QUEUE,
        signal: abort.signal,
        onListen: () => {},
        onError: (error) => this.#crashed(error),
      },
      (request, info) => this.#handler(request, info.remoteAddr.hostname),
    );
    this.#abort = abort;
    this.#error = null;
    const ended = (error: unknown) => {
      if (server === this.#server) this.#error = error;
    };
    server.finished.then(() => ended(new Error("the runtime has ended it")), ended);
    return server;
  }

  /**
   * Listens again if the runtime's listener has ended for want of file descriptors, which its connections survive. Deno 2.4
   * does not report that before the last half-sent request has ended, so the check tries to take the port.
   */
  #keepListening(): void {
    this.#cancelCheck = this.#clock.after(CHECK_EVERY_MS, () => {
      if (!this.#isListening()) this.#listenAgain();
      this.#keepListening();
    });
  }

  #isListening(): boolean {
    if (this.#error !== null) return false; // another program may have the port now
    const { hostname, port } = this.address;
    try {
      Deno.listen({ hostname, port }).close();
      return false;
    } catch (error) {
      // Another error, such as too many open files, proves nothing.
      if (!(error instanceof Deno.errors.AddrInUse)) this.#emit({ kind: "listener_failed", error });
      return true;
    }
  }

  #listenAgain(): void {
    const error = this.#error ?? new Error("the runtime has ended it");
    this.#emit({ kind: "listener_failed", error });
    try {
      this.#server = this.#listen(this.address.port);
    } catch (error) {
      this.#emit({ kind: "listener_failed", error });
    }
  }

  /**
   * Listens on the same port with another certificate. All connections end, on Deno 2.9 WebSockets too.
   *
   * @throws {Deno.errors.AddrInUse} if the port does not become free; the listener goes on trying
   */
  async renew(tls: TlsFiles): Promise<void> {
    this.#cancelCheck();
    this.#tls = tls;
    this.#abort.abort();
    try {
      await this.#listenOncePortIsFree();
    } finally {
      this.#keepListening();
    }
  }

  async #listenOncePortIsFree(): Promise<void> {
    for (let waitedMs = 0;; waitedMs += RETRY_EVERY_MS) {
      try {
        this.#server = this.#listen(this.address.port);
        return;
      } catch (error) {
        if (!(error instanceof Deno.errors.AddrInUse) || waitedMs >= PORT_FREE_MS) throw error;
      }
      await new Promise<void>((resolve) => this.#clock.after(RETRY_EVERY_MS, resolve));
    }
  }

  #crashed(error: unknown): Response {
    this.#emit({ kind: "internal_error", where: "request", error });
    return new Response("Internal error.\n", { status: 500 });
  }

  /** Stops listening. Resolves when requests in progress are answered, and WebSockets have ended. */
  async stop(): Promise<void> {
    this.#cancelCheck();
    await this.#server.shutdown();
  }
}
