/** The executable needs nothing: no Deno, no file beside it, no environment. */

import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { exchange, shutDown } from "../helpers/core_exchange.ts";
import { type ProgramOptions, runProgram, ServingProgram } from "../helpers/program.ts";
import { isFile, isMissing } from "../helpers/tools.ts";

const TOP = new URL("../../", import.meta.url).pathname;

/** The one that the environment names, else the one that was made here, if nothing has changed since. */
function findExecutable(): string | null {
  const named = Deno.env.get("TEST_EXECUTABLE");
  if (named !== undefined) return named;
  const path = `${TOP}dist/signalbox`;
  const sources = [`${TOP}main.ts`, `${TOP}deno.json`, ...filesIn(`${TOP}lib`)];
  const isNewest = isFile(path) && sources.every((source) => timeOf(source) <= timeOf(path));
  return isNewest ? path : null;
}

function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesIn(`${folder}/${name}`) : `${folder}/${name}`
  );
}

function timeOf(path: string): number {
  return Deno.statSync(path).mtime?.getTime() ?? 0;
}

const EXECUTABLE = findExecutable();

function test(name: string, run: (options: ProgramOptions) => Promise<void>): void {
  Deno.test(name, async () => {
    const what = "an executable of this source: deno task compile, or TEST_EXECUTABLE";
    if (isMissing(EXECUTABLE !== null, what) || EXECUTABLE === null) return;
    const cwd = await Deno.makeTempDir();
    try {
      await run({ command: [EXECUTABLE], cwd, env: {} });
      assert.deepEqual([...Deno.readDirSync(cwd)], []); // and it leaves nothing behind
    } finally {
      await Deno.remove(cwd, { recursive: true });
    }
  });
}

test("the executable prints its version", async (options) => {
  const ending = await runProgram(["--version"], options);
  assert.deepEqual(ending, { status: 0, stdout: `${config.version}\n`, stderr: "" });
});

test("the executable reports an error in one line", async (options) => {
  const { status, stdout, stderr } = await runProgram(["--port", "http"], options);
  assert.deepEqual([status, stdout], [2, ""]);
  assert.match(stderr, /^signalbox: --port takes .+\n$/);
});

test("the executable prints the documents, and serves them as pages", async (options) => {
  const { status, stdout } = await runProgram(["help", "protocol"], options);
  assert.equal(status, 0);
  assert.match(stdout, /^# The protocol\n/);
  await using program = await ServingProgram.start([], options);
  const headers = { accept: "text/html" };
  const response = await fetch(`${program.httpUrl}/docs/protocol.md`, { headers });
  assert.match(await response.text(), /<h1 id="the-protocol">/);
});

test("the executable carries the core protocol", async (options) => {
  await using program = await ServingProgram.start([], options);
  await exchange(program.url);
});

test("the executable ends in good order at SIGTERM, also with a client that never answers", async (options) => {
  await using program = await ServingProgram.start(["--drain-timeout", "2s"], options);
  await shutDown(program);
});
