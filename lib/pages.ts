/** What browsers get of the public port: the page at `/` with its files, and the browser client. */

import { createHash } from "node:crypto";
// So that it is fetched, and embedded in the executable; it is browsers that run it.
import "lean-qr";

const TYPES = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
} as const;

/** Only from here, and nothing that stands in the page itself (CSP level 3). */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

const CLIENT_PATH = "/client.js";

/** Under `/page/`. */
const PAGE_FILES = [
  "icon.svg",
  "invite.js",
  "map.js",
  "page.css",
  "page.js",
  "panel.js",
  "trouble.js",
  "video.js",
  "wire.js",
];

interface File {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly headers: Readonly<Record<string, string>>;
}

export class Pages {
  readonly #files = new Map<string, File>();

  /**
   * Reads the files, once.
   *
   * @param withPage whether there is a page; the client is always there
   */
  constructor(withPage: boolean) {
    this.#add(CLIENT_PATH, new URL("web/client.js", import.meta.url));
    if (!withPage) return;
    this.#add("/", new URL("web/page/index.html", import.meta.url));
    this.#add("/page/lean_qr.js", new URL(import.meta.resolve("lean-qr")));
    for (const name of PAGE_FILES) {
      this.#add(`/page/${name}`, new URL(`web/page/${name}`, import.meta.url));
    }
  }

  #add(path: string, url: URL): void {
    const body = Deno.readFileSync(url);
    const extension = path === "/" ? "html" : path.slice(path.lastIndexOf(".") + 1);
    const hash = createHash("sha256").update(body).digest("base64url");
    const headers = {
      "content-type": TYPES[extension as keyof typeof TYPES],
      "content-length": String(body.length), // in the answer to HEAD too, which has no body
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cache-control": "no-cache", // kept, but asked for again: an update of the server is an update of the page
      etag: `"${hash}"`,
      ...(path === "/" && { "content-security-policy": CONTENT_SECURITY_POLICY }),
      ...(path === CLIENT_PATH && { "access-control-allow-origin": "*" }),
    };
    this.#files.set(path, { body, headers });
  }

  /** The answer to a GET or HEAD request; null where there is no such file. */
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
