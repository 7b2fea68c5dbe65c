/** The documents, as tests read them: tables, links, anchors, blocks of code. */

import { marked, type Token, type Tokens } from "marked";
import { toAnchor } from "../../lib/http/documents.ts";

const TOP = new URL("../../", import.meta.url);
const FOLDER = "lib/web/docs/";

/** One Markdown file. */
export interface Document {
  /** Path from the top of the repository: `lib/web/docs/protocol.md`. */
  readonly path: string;
  readonly text: string;
  readonly tokens: readonly Token[];
}

/** Reads a document by its name: `protocol`, or `README` for the one at the top. */
export function readDocument(name: string): Document {
  return readAt(name === "README" ? "README.md" : `${FOLDER}${name}.md`);
}

function readAt(path: string): Document {
  const text = Deno.readTextFileSync(new URL(path, TOP));
  return { path, text, tokens: marked.lexer(text) };
}

/** All documents, README among them. */
export function readAllDocuments(): Document[] {
  const filesIn = (folder: string): string[] =>
    [...Deno.readDirSync(new URL(folder, TOP))].flatMap(({ name, isDirectory }) =>
      isDirectory ? filesIn(`${folder}${name}/`) : folder + name
    );
  return ["README.md", ...filesIn(FOLDER).filter((path) => path.endsWith(".md"))].map(readAt);
}

/** Rows of the first table under a heading, as Markdown, without the header. */
export function tableUnder({ path, tokens }: Document, heading: string): string[][] {
  const start = tokens.findIndex((token) => token.type === "heading" && token.text === heading);
  const table = tokens.slice(start + 1).find((token): token is Tokens.Table =>
    token.type === "table"
  );
  if (start < 0 || table === undefined) throw new Error(`no table under ${heading} in ${path}`);
  return table.rows.map((row) => row.map(({ text }) => text));
}

/** Returns the inline code of a document, without blocks. */
export function codeIn(markdown: string): string[] {
  const text = markdown.replaceAll(/^```[^]*?^```$/gm, "");
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code!);
}

/** Blocks of code in a language, in their order. */
export function blocksIn({ tokens }: Document, language: string): string[] {
  return tokens.filter((token): token is Tokens.Code => token.type === "code")
    .filter(({ lang }) => lang === language).map(({ text }) => text);
}

export function headingsIn({ tokens }: Document): string[] {
  return tokens.filter((token): token is Tokens.Heading => token.type === "heading")
    .map(({ text }) => text);
}

export function anchorsIn(document: Document): string[] {
  return headingsIn(document).map(toAnchor);
}

/** Targets of links and images, as they are written. */
export function linksIn({ text }: Document): string[] {
  const links: string[] = [];
  marked.walkTokens(marked.lexer(text), (token) => {
    if (token.type === "link" || token.type === "image") links.push(token.href);
  });
  return links;
}

/** First block of code in a language after a heading. */
export function blockUnder({ path, tokens }: Document, heading: string, language: string): string {
  const start = tokens.findIndex((token) => token.type === "heading" && token.text === heading);
  const block = tokens.slice(start + 1).find((token): token is Tokens.Code =>
    token.type === "code" && token.lang === language
  );
  if (start < 0 || block === undefined) {
    throw new Error(`no ${language} under ${heading} in ${path}`);
  }
  return block.text;
}
