/** Serves the documents under `/docs/`: as Markdown, or rendered to HTML for browsers. */

import type { Tokens } from "marked";
import { PAGE_POLICY, StaticFiles } from "./static_files.ts";

const FOLDER = new URL("../web/docs/", import.meta.url);
const INDEX = "README.md";
const NO_DOCUMENT = "No such document. /docs/ lists those that exist.\n";

type Body = Uint8Array<ArrayBuffer>;

/** Reads one document of `lib/web/docs`, by its name without `.md`. */
export function readDocument(topic: string): string {
  return Deno.readTextFileSync(new URL(`${topic}.md`, FOLDER));
}

export class Documents {
  /** All files of the folder, by their path below `/docs/`. */
  readonly #files = new StaticFiles();
  readonly #markdown = new Map<string, Body>();
  /** HTML pages, each rendered at its first request. */
  readonly #pages = new StaticFiles();
  readonly #making = new Map<string, Promise<void>>();

  /** Reads the whole folder, because the process may not read files later. */
  constructor() {
    for (const path of listFiles(FOLDER)) {
      const body = Deno.readFileSync(new URL(path, FOLDER));
      if (!path.endsWith(".md")) {
        this.#files.put(path, body);
        continue;
      }
      this.#markdown.set(path, body);
      this.#files.put(path, body, { vary: "accept" });
    }
  }

  /** Answers a GET or HEAD request; null if it is not for a document. Only a request that accepts HTML gets HTML. */
  answer(pathname: string, request: Request): Response | Promise<Response> | null {
    // A relative address holds under a prefix that a proxy strips, too (RFC 9110 section 10.2.2).
    if (pathname === "/docs") {
      return new Response(null, { status: 308, headers: { location: "docs/" } });
    }
    if (!pathname.startsWith("/docs/")) return null;
    const path = pathname.slice("/docs/".length) || INDEX;
    const document = this.#files.has(path) ? null : this.#documentAt(path);
    if (document !== null) {
      const location = document.slice(path.lastIndexOf("/") + 1);
      return new Response(null, { status: 308, headers: { location } });
    }
    const wantsPage = request.headers.get("accept")?.includes("text/html") ?? false;
    const body = wantsPage ? this.#markdown.get(path) : undefined;
    if (body !== undefined) return this.#page(path, body, request);
    return this.#files.answer(path, request) ?? new Response(NO_DOCUMENT, { status: 404 });
  }

  /** Returns the path of the document that is meant by one without `.md`, or by a folder's; null if there is none. */
  #documentAt(path: string): string | null {
    const candidates = [`${path}.md`, `${path.replace(/\/$/, "")}/${INDEX}`];
    return candidates.find((candidate) => this.#markdown.has(candidate)) ?? null;
  }

  async #page(path: string, markdown: Body, request: Request): Promise<Response> {
    const making = this.#making.get(path) ?? this.#make(path, markdown);
    this.#making.set(path, making);
    await making;
    return this.#pages.answer(path, request)!;
  }

  async #make(path: string, markdown: Body): Promise<void> {
    const text = new TextDecoder().decode(markdown);
    const html = await renderPage(path, text, [...this.#markdown.keys()]);
    const headers = { "content-type": "text/html; charset=utf-8", vary: "accept", ...PAGE_POLICY };
    this.#pages.put(path, new TextEncoder().encode(html), headers);
  }
}

function* listFiles(folder: URL, path = ""): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(new URL(path, folder))) {
    if (isDirectory) yield* listFiles(folder, `${path}${name}/`);
    else yield path + name;
  }
}

async function renderPage(path: string, markdown: string, paths: string[]): Promise<string> {
  const [folder] = /^.*\//.exec(path) ?? [""];
  const toRoot = folder.replaceAll(/[^/]+/g, "..");
  const links = paths.filter((path) => !path.includes("/") && path !== INDEX).sort()
    .map((path) => `<a href="${toRoot}${path}">${path.slice(0, -".md".length)}</a>`);
  const title = /^# ([^·\n]+?) *[·\n]/.exec(markdown)?.[1] ?? path;
  return `<!DOCTYPE html>
<html lang="${folder.slice(0, -1) || "en"}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)} · signalbox</title>
<link rel="icon" href="${toRoot}../page/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="${toRoot}docs.css">
</head>
<body>
<nav aria-label="signalbox">
<a href="${toRoot || "./"}">signalbox</a>
${links.join("\n")}
</nav>
<main>
${await toHtml(markdown)}</main>
</body>
</html>
`;
}

/** Renders Markdown. HTML in it is shown as text; headings get the anchors that they have on GitHub. */
export async function toHtml(markdown: string): Promise<string> {
  const { Marked, Renderer } = await import("marked"); // here, because loading it takes 10 ms
  class DocumentRenderer extends Renderer {
    override heading({ tokens, depth, text }: Tokens.Heading): string {
      return `<h${depth} id="${toAnchor(text)}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
    }
    override table(token: Tokens.Table): string {
      const table = super.table(token);
      return `<div class="scroll" tabindex="0">${table}</div>\n`;
    }
    override code(token: Tokens.Code): string {
      return super.code(token).replace("<pre>", '<pre tabindex="0">');
    }
    override html({ text }: Tokens.HTML | Tokens.Tag): string {
      return escapeHtml(text);
    }
  }
  return await new Marked().parse(markdown, { renderer: new DocumentRenderer() });
}

/** Returns the anchor of a heading: its letters, digits, hyphens and underscores, in lower case. */
export function toAnchor(heading: string): string {
  return heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
