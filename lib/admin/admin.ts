/** The admin listener: metrics, the list of clients, their disconnection, and a page that shows all that. */

import type { Clock } from "../clock.ts";
import type { Emit } from "../events.ts";
import { Listener } from "../http/listener.ts";
import type { CloseReason } from "../relay/vocabulary.ts";
import { type AdminAddress, writeAddress } from "../config/admin_address.ts";
import { listClients, type ListedConnection, readClientQuery } from "./client_list.ts";
import { Guard } from "./guard.ts";
import { History, type Sample } from "./history.ts";
import {
  cpuSeconds,
  type MeasuredServer,
  type Metrics,
  METRICS_TYPE,
  metricsText,
} from "./metrics.ts";
import { readAdminPage } from "./page.ts";

/** The part of a server that the admin listener uses. */
interface WatchedServer extends MeasuredServer {
  readonly connections: ReadonlySet<ListedConnection & { close(reason: CloseReason): void }>;
}

/** The dependencies of the admin listener. */
export interface AdminDeps {
  readonly version: string;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly metrics: Metrics;
  readonly server: WatchedServer;
  /** Undefined if none is needed. */
  readonly password: string | undefined;
}

const CLIENTS_PATH = "/api/clients";

/** Headers of every response: other pages may not use it, and caches may not store it. */
const HEADERS = {
  "cache-control": "no-store",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
} as const;

export class Admin {
  readonly #hostname: string;
  readonly #deps: AdminDeps;
  readonly #startedAt = new Date().toISOString();
  readonly #page = readAdminPage();
  readonly #history: History;
  readonly #guard: Guard;
  readonly #listener: Listener;

  /**
   * Starts to listen.
   *
   * @throws {Deno.errors.AddrInUse} if the port is in use, and other errors of listening
   */
  constructor({ hostname, port }: AdminAddress, deps: AdminDeps) {
    const { clock, emit } = deps;
    this.#hostname = hostname;
    this.#deps = deps;
    this.#guard = new Guard({ hostname, password: deps.password }, clock, emit);
    const options = { hostname, port, tls: null };
    this.#listener = new Listener(options, clock, emit, async (request, peer) => {
      const response = await this.#answer(request, peer);
      for (const [name, value] of Object.entries(HEADERS)) {
        if (!response.headers.has(name)) response.headers.set(name, value);
      }
      return response;
    });
    this.#history = new History(clock, () => this.#sample());
  }

  /** The address of the listener, with the port that was picked for port 0. */
  get address(): AdminAddress {
    return { hostname: this.#hostname, port: this.#listener.address.port };
  }

  /** The page's address. */
  get url(): string {
    return `http://${writeAddress(this.address)}/`;
  }

  async #answer(request: Request, peer: string): Promise<Response> {
    const url = URL.parse(request.url);
    if (url === null) return text(400, "The request has no valid address.");
    const refusal = await this.#guard.check(request, url, peer);
    if (refusal !== null) return refusal;
    if (request.method === "DELETE") return this.#delete(url);
    if (request.method !== "GET" && request.method !== "HEAD") {
      return text(405, "Only GET, HEAD and DELETE are understood here.");
    }
    return this.#get(request, url);
  }

  #get(request: Request, { pathname, searchParams }: URL): Response | Promise<Response> {
    switch (pathname) {
      case "/metrics":
        return this.#scrape();
      case CLIENTS_PATH:
        return this.#list(searchParams);
      case "/api/overview":
        return this.#overview(searchParams);
    }
    return this.#page.answer(pathname, request) ?? text(404, "Not found.");
  }

  #scrape(): Response {
    const { version, metrics, server } = this.#deps;
    const headers = { "content-type": METRICS_TYPE };
    return new Response(metricsText(version, metrics, server), { headers });
  }

  #list(parameters: URLSearchParams): Response {
    const { clock, server } = this.#deps;
    try {
      const query = readClientQuery(parameters);
      return Response.json(listClients(server.connections, query, Date.now() - clock.now()));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return text(400, `${error.message}.`);
    }
  }

  #overview(parameters: URLSearchParams): Response {
    const { version, metrics } = this.#deps;
    const after = Number(parameters.get("after") ?? 0);
    return Response.json({
      version,
      started_at: this.#startedAt,
      errors: Object.fromEntries(metrics.errors),
      closes: Object.fromEntries(metrics.closes),
      taken: this.#history.taken,
      samples: this.#history.after(Number.isSafeInteger(after) ? after : 0),
    });
  }

  #sample(): Sample {
    const { metrics: { counts }, server } = this.#deps;
    let waitingBytes = 0;
    for (const connection of server.connections) waitingBytes += connection.bufferedBytes;
    return {
      time_ms: Date.now(),
      connections: server.connections.size,
      clients: server.clients,
      kept_messages: server.storedMessages,
      waiting_bytes: waitingBytes,
      memory_bytes: Deno.memoryUsage().rss,
      cpu_seconds: cpuSeconds(),
      opened: counts.opened,
      messages: counts.direct + counts.broadcasts,
      deliveries: counts.deliveries,
      errors: counts.errors,
    };
  }

  /** Handles `DELETE /api/clients/{id}?room=&dialect=`, or `?id=` for the two IDs that no path can end with: `.` and `..`. */
  #delete({ pathname, searchParams }: URL): Response {
    const id = pathname === CLIENTS_PATH ? searchParams.get("id") : lastPart(pathname);
    if (id === null) return text(404, "DELETE is for /api/clients/{id}.");
    const roomName = searchParams.get("room") ?? "";
    for (const connection of this.#deps.server.connections) {
      const { session } = connection;
      if (session === null || session.id !== id || session.roomName !== roomName) continue;
      if (session.dialect !== searchParams.get("dialect")) continue;
      connection.close("disconnected");
      return new Response(null, { status: 204 });
    }
    return text(404, "No such client is connected.");
  }

  /** Stops listening and sampling. */
  async stop(): Promise<void> {
    this.#history.stop();
    await this.#listener.stop();
  }
}

/** Returns the ID in a path; null if it has none. */
function lastPart(pathname: string): string | null {
  const [, encoded] = /^\/api\/clients\/([^/]+)$/.exec(pathname) ?? [];
  try {
    return encoded === undefined ? null : decodeURIComponent(encoded);
  } catch {
    return null;
  }
}

function text(status: number, message: string): Response {
  return new Response(`${message}\n`, { status });
}
