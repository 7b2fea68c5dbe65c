/** Static files for browsers, read once and served from memory. */

import { createHash } from "node:crypto";

const TYPES: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  md: "text/markdown; charset=utf-8",
  ts: "application/typescript; charset=utf-8",
  py: "text/x-python; charset=utf-8",
  svg: "image/svg+xml",
  webp: "image/webp",
};

/** Policy of a page: everything from this origin, and nothing inline (CSP level 3). */
export const PAGE_POLICY = {
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join("; "),
};

type FixedHeaders = Readonly<Record<string, string>>;

interface File {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly headers: FixedHeaders & { readonly etag: string };
}

export class StaticFiles {
  readonly #files = new Map<string, File>();

  /**
   * Reads a file.
   *
   * @param path the path in requests
   * @param more headers beside those of all files
   */
  add(path: string, url: URL, more: FixedHeaders = {}): void {
    this.put(path, Deno.readFileSync(url), more);
  }

  /** Adds a file that is in memory already. */
  put(path: string, body: Uint8Array<ArrayBuffer>, more: FixedHeaders = {}): void {
    const extension = path.endsWith("/") ? "html" : path.slice(path.lastIndexOf(".") + 1);
    const hash = createHash("sha256").update(body).digest("base64url");
    const headers = {
      "content-type": TYPES[extension]!,
      "content-length": String(body.length), // in the answer to HEAD too, which has no body
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cache-control": "no-cache", // revalidated by each load, because an update of the server updates the page
      etag: `"${hash}"`,
      ...more,
    };
    this.#files.set(path, { body, headers });
  }

  has(pathname: string): boolean {
    return this.#files.has(pathname);
  }

  /** Answers a GET or HEAD request; null if there is no such file. */
  answer(pathname: string, { method, headers }: Request): Response | null {
    const file = this.#files.get(pathname);
    if (file === undefined) return null;
    if (headers.get("if-none-match") === file.headers.etag) {
      const { "content-length": _, ...rest } = file.headers;
      return new Response(null, { status: 304, headers: rest });
    }
    return new Response(method === "HEAD" ? null : file.body, { headers: file.headers });
  }
}
