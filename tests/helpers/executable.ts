/** The executable that tests run. */

import { isFile, isMissing } from "./tools.ts";

const TOP = new URL("../../", import.meta.url).pathname;

/** Returns the path of the one that the environment names, else of the one made here if nothing has changed since. */
export function findExecutable(): string | null {
  const named = Deno.env.get("TEST_EXECUTABLE");
  if (named !== undefined) return named;
  const path = `${TOP}dist/signalbox`;
  const sources = [`${TOP}main.ts`, `${TOP}deno.json`, ...filesIn(`${TOP}lib`)];
  const isNewest = isFile(path) && sources.every((source) => timeOf(source) <= timeOf(path));
  return isNewest ? path : null;
}

/** Returns whether a test has to be left out, because there is no executable. */
export function isExecutableMissing(path: string | null): path is null {
  return isMissing(
    path !== null,
    "an executable of this source: deno task compile, or TEST_EXECUTABLE",
  );
}

function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesIn(`${folder}/${name}`) : `${folder}/${name}`
  );
}

function timeOf(path: string): number {
  return Deno.statSync(path).mtime?.getTime() ?? 0;
}
