/** A TCP proxy on loopback that can be as bad as a network: slow, or silent without a word. */

/** Stands between two machines, as a proxy or a cable does. */
export interface Line {
  /** Lets nothing through from now on, without a notice to either end. */
  cut(): Promise<void> | void;
  heal(): Promise<void> | void;
}

export class Proxy implements AsyncDisposable, Line {
  readonly #listener: Deno.TcpListener;
  readonly #targetPort: number;
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #tasks = new Set<Promise<void>>();
  /** The delay each way. */
  delayMs: number;
  /** Resolves when the line is whole; null while it is. */
  #cut: PromiseWithResolvers<void> | null = null;
  #isClosed = false;

  /** @param delayMs the delay each way */
  constructor(targetPort: number, delayMs = 0) {
    this.#targetPort = targetPort;
    this.delayMs = delayMs;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#run(this.#accept());
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  /** Lets nothing through from now on, not even the end of a connection. */
  cut(): void {
    this.#cut = Promise.withResolvers();
  }

  /** The line is whole again: what was sent meanwhile comes through. */
  heal(): void {
    this.#cut?.resolve();
    this.#cut = null;
  }

  #run(task: Promise<void>): void {
    const caught = task.catch(() => {}).finally(() => this.#tasks.delete(caught));
    this.#tasks.add(caught);
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) this.#run(this.#serve(client));
  }

  async #serve(client: Deno.TcpConn): Promise<void> {
    this.#connections.add(client);
    await this.#whole();
    const server = await Deno.connect({ hostname: "127.0.0.1", port: this.#targetPort })
      .catch(() => null);
    if (server === null) return this.#close(client);
    this.#connections.add(server);
    if (this.#isClosed) return this.#close(client, server);
    const ends = [this.#pump(client, server), this.#pump(server, client)];
    await Promise.race(ends).catch(() => this.#whole()); // a reset is passed on like any other end
    this.#close(client, server);
  }

  async #pump(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
    const writer = to.writable.getWriter();
    let last = Promise.resolve();
    for await (const chunk of from.readable) {
      const due = delay(this.delayMs);
      last = last.then(() => due).then(() => this.#whole()).then(() => writer.write(chunk));
      last.catch(() => {});
    }
    await last;
    await this.#whole();
  }

  async #whole(): Promise<void> {
    while (this.#cut !== null && !this.#isClosed) await this.#cut.promise;
  }

  #close(...connections: Deno.TcpConn[]): void {
    for (const connection of connections) {
      this.#connections.delete(connection);
      try {
        connection.close();
      } catch {
        // it has ended
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#listener.close();
    this.heal();
    this.#close(...this.#connections);
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }
}

function delay(ms: number): Promise<void> {
  return ms === 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, ms));
}
