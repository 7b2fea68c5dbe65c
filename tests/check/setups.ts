/** Set-ups that a check meets: proxies before a server, and programs that are none. */

/** Serves HTTP on a free port of loopback. */
export class HttpHost implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(answer: (request: Request) => Response | Promise<Response>) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** Passes requests on without the hop-by-hop headers, as a proxy does that knows no WebSockets (RFC 9110 section 7.6.1). */
export function proxyWithoutUpgrade(target: string): HttpHost {
  return new HttpHost(async ({ url, headers: given }) => {
    const headers = new Headers(given);
    headers.delete("upgrade");
    headers.delete("connection");
    const { status, body } = await fetch(target + new URL(url).pathname, { headers });
    return new Response(body, { status });
  });
}

/** Passes bytes on, and cuts connections that are silent for a time, once it is asked to. */
export class CuttingProxy implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #targetPort: number;
  readonly #running: Promise<void>;
  /** Starts the time of each connection anew. */
  readonly #restarts = new Set<() => void>();
  #timeoutMs: number | null = null;

  constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#running = this.#accept();
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#listener.addr.port}`;
  }

  /** Makes it cut what is silent for this time. */
  cutAfter(timeoutMs: number): void {
    this.#timeoutMs = timeoutMs;
    for (const restart of this.#restarts) restart();
  }

  async #accept(): Promise<void> {
    const serving: Promise<void>[] = [];
    for await (const client of this.#listener) serving.push(this.#serve(client));
    await Promise.all(serving);
  }

  async #serve(client: Deno.TcpConn): Promise<void> {
    const server = await Deno.connect({ hostname: "127.0.0.1", port: this.#targetPort });
    const cut = () => [client, server].forEach(tryClose);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const restart = () => {
      clearTimeout(timer);
      if (this.#timeoutMs !== null) timer = setTimeout(cut, this.#timeoutMs);
    };
    this.#restarts.add(restart);
    const pump = async (from: Deno.TcpConn, to: Deno.TcpConn) => {
      const buffer = new Uint8Array(65_536);
      for (let count; (count = await from.read(buffer)) !== null;) {
        restart();
        for (let n = 0; n < count;) n += await to.write(buffer.subarray(n, count));
      }
    };
    const ends = [pump(client, server), pump(server, client)];
    await Promise.race(ends.map((end) => end.catch(() => {})));
    clearTimeout(timer);
    this.#restarts.delete(restart);
    cut();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#running;
  }
}

function tryClose(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // it has ended
  }
}

/** Writes something to each connection, and ends it. */
export class Greeter implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #running: Promise<void>;

  constructor(greeting: string) {
    this.#running = this.#greet(new TextEncoder().encode(greeting));
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#listener.addr.port}`;
  }

  async #greet(bytes: Uint8Array): Promise<void> {
    for await (const connection of this.#listener) {
      await connection.write(bytes);
      await connection.read(new Uint8Array(65_536)); // or the end would be a reset
      connection.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#running;
  }
}
