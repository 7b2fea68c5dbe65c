/** The files that deploying.md and cluster.md in lib/web/docs/ print, and what a test replaces in them. */

import assert from "node:assert/strict";

const DOCUMENTS = ["deploying.md", "cluster.md"];
const CODE_BLOCK = /^```\w+\n(.*?)^```$/gms;
const COMMENT = /^(?:#|\/\/|<!--) (.+?)(?: -->)?$/;

const document = DOCUMENTS.map((name) =>
  Deno.readTextFileSync(new URL(`../../lib/web/docs/${name}`, import.meta.url))
).join("\n");
const blocks = [...document.matchAll(CODE_BLOCK)].map(([, text]) => text!);

/**
 * Returns a printed file.
 *
 * @param title what the comment in its first or second line says: `/etc/signalbox/signalbox.env`
 */
export function printedFile(title: string): string {
  const found = blocks.filter((text) => titlesOf(text).includes(title));
  assert.equal(found.length, 1, `files called ${title}`);
  return found[0]!;
}

/** Returns the one printed line of a shell block that begins like this. */
export function printedCommand(beginning: string): string {
  const lines = blocks.flatMap((text) => text.split("\n"));
  const found = lines.filter((line) => line.startsWith(beginning));
  assert.equal(found.length, 1, `lines that begin with ${beginning}`);
  return found[0]!;
}

function titlesOf(text: string): string[] {
  return text.split("\n", 2).map((line) => COMMENT.exec(line)?.[1] ?? "");
}

/**
 * Replaces names, addresses, ports, paths and secrets of a printed file with those of a test.
 *
 * @throws {AssertionError} if one of them is not in the file
 */
export function replaceAll(text: string, replacements: Readonly<Record<string, string>>): string {
  let replaced = text;
  for (const [printed, ours] of Object.entries(replacements)) {
    assert.ok(replaced.includes(printed), `${printed} is not in\n${text}`);
    replaced = replaced.replaceAll(printed, ours);
  }
  return replaced;
}
