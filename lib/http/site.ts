/** Answers plain HTTP requests: page, client libraries, documents, health, and requests of other servers' clients. */

import type { Dialect } from "../relay/vocabulary.ts";
import { checkOrigin } from "./admission.ts";
import { Documents } from "./documents.ts";
import { refuse } from "./handshake.ts";
import { readPages } from "./pages.ts";
import type { StaticFiles } from "./static_files.ts";

const NOT_FOUND = "Nothing is here. Clients open a WebSocket, on any path of this port.\n";

/** The report of `/healthz`. */
export interface Health {
  readonly status: "ok" | "degraded" | "draining";
  readonly clients: number;
  readonly version: string;
  readonly uptime_seconds: number;
}

interface SiteDeps {
  /** True if `/` is the page that shows the server at work. */
  readonly hasPage: boolean;
  readonly allowOrigins: readonly string[] | undefined;
  readonly dialects: readonly Dialect[];
  /** Lists the IDs of a room, on all nodes. */
  listIds(room: string): Promise<readonly string[]>;
  health(): Health;
}

export class Site {
  readonly #deps: SiteDeps;
  readonly #pages: StaticFiles;
  readonly #documents = new Documents();

  constructor(deps: SiteDeps) {
    this.#deps = deps;
    this.#pages = readPages(deps.hasPage);
  }

  answer(request: Request, pathname: string): Response | Promise<Response> {
    const { method } = request;
    if (method === "OPTIONS") return new Response(null, { status: 204 });
    const isRead = method === "GET" || method === "HEAD";
    return (isRead ? this.#read(request, pathname) : null) ??
      new Response(NOT_FOUND, { status: 404 });
  }

  #read(request: Request, pathname: string): Response | Promise<Response> | null {
    if (pathname === "/healthz") return this.#health();
    return this.#answerForDialect(request, pathname) ??
      this.#documents.answer(pathname, request) ?? this.#pages.answer(pathname, request);
  }

  #health(): Response {
    const health = this.#deps.health();
    return Response.json(health, {
      status: health.status === "draining" ? 503 : 200,
      headers: { "access-control-allow-origin": "*", "cache-control": "no-store" },
    });
  }

  /** Answers an HTTP request of another server's clients; null for any other path. */
  #answerForDialect({ headers }: Request, pathname: string): Response | Promise<Response> | null {
    const { dialects, allowOrigins, listIds } = this.#deps;
    for (const { answerHttp } of dialects) {
      const answering = answerHttp?.(pathname, listIds) ?? null;
      if (answering === null) continue;
      const refusal = checkOrigin(headers, allowOrigins);
      if (refusal !== null) return refuse(refusal);
      return answering.then(({ status, type, body }) =>
        new Response(body, {
          status,
          headers: {
            "content-type": type,
            "cache-control": "no-store",
            "access-control-allow-origin": headers.get("origin") ?? "*",
          },
        })
      );
    }
    return null;
  }
}
