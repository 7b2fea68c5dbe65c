/** Examples in the documents, for tests that run them as printed. */

/**
 * Returns the first code of a language under a heading of `clients.md`.
 *
 * @throws {Error} if there is none
 */
export async function printedCode(heading: string, language: string): Promise<string> {
  const url = new URL("../../lib/web/docs/clients.md", import.meta.url);
  const sections = (await Deno.readTextFile(url)).split(/^##+ /m);
  const section = sections.find((text) => text.startsWith(`${heading}\n`));
  const code = section?.split(`\`\`\`${language}\n`)[1]?.split("```")[0];
  if (code === undefined) throw new Error(`clients.md has no ${language} under "${heading}"`);
  return code;
}
