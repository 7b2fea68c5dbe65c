/** Listens for HTTP requests, and goes on when the runtime gives up. */

import type { Clock } from "../clock.ts";
import type { Emit } from "../events.ts";

/** How often it is looked whether anybody listens. */
const CHECK_EVERY_MS = 500;

/** Where to listen; with `cert` and `key` (PEM) for https. */
export interface ListenOptions {
  readonly hostname: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly cert?: string;
  readonly key?: string;
}

/** Answers a request. `peer` is the IP address at the other end of the connection. */
export type Handler = (request: Request, peer: string) => Response | Promise<Response>;

export class Listener {
  readonly #options: ListenOptions;
  readonly #handler: Handler;
  readonly #clock: Clock;
  readonly #emit: Emit;
  #server: Deno.HttpServer<Deno.NetAddr>;
  /** Why the runtime ended it, where it has said so. */
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
    this.#server = this.#listen(options.port);
    this.#keepListening();
  }

  /** Where it listens; the port that was picked, where 0 was asked for. */
  get address(): Deno.NetAddr {
    return this.#server.addr;
  }

  #listen(port: number): Deno.HttpServer<Deno.NetAddr> {
    const server = Deno.serve(
      {
        ...this.#options,
        port,
        onListen: () => {},
        onError: (error) => this.#crashed(error),
      },
      (request, info) => this.#handler(request, info.remoteAddr.hostname),
    );
    this.#error = null;
    server.finished.catch((error) => {
      if (server === this.#server) this.#error = error;
    });
    return server;
  }

  /**
   * Running out of file descriptors ends the runtime's listener, but not the connections: so listen again. Deno 2.4 does not
   * say so before the last half-sent request is gone; but as long as one listens, nobody else can.
   */
  #keepListening(): void {
    this.#cancelCheck = this.#clock.after(CHECK_EVERY_MS, () => {
      if (!this.#isListening()) this.#listenAgain();
      this.#keepListening();
    });
  }

  #isListening(): boolean {
    const { hostname, port } = this.address;
    try {
      Deno.listen({ hostname, port }).close();
      return false;
    } catch (error) {
      // Anything else, such as too many open files, does not tell: the next time it may.
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

  #crashed(error: unknown): Response {
    this.#emit({ kind: "internal_error", where: "request", error });
    return new Response("Internal error.\n", { status: 500 });
  }

  /** Listens no more. Resolves when what is being answered is answered, and WebSockets have ended. */
  async stop(): Promise<void> {
    this.#cancelCheck();
    await this.#server.shutdown();
  }
}
