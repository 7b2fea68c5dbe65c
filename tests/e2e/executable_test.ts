/** The executable needs nothing: no Deno, no file beside it, no environment. */

import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { findExecutable, isExecutableMissing } from "../helpers/executable.ts";
import { exchange, shutDown } from "../helpers/core_exchange.ts";
import { type ProgramOptions, runProgram, ServingProgram } from "../helpers/program.ts";

const EXECUTABLE = findExecutable();

function test(name: string, run: (options: ProgramOptions) => Promise<void>): void {
  Deno.test(name, async () => {
    if (isExecutableMissing(EXECUTABLE)) return;
    const cwd = await Deno.makeTempDir();
    try {
      await run({ command: [EXECUTABLE], cwd, env: {} });
      assert.deepEqual([...Deno.readDirSync(cwd)], []); // and it leaves nothing behind
    } finally {
      await Deno.remove(cwd, { recursive: true });
    }
  });
}

test("the executable prints its version, the runtime's and the machine", async (options) => {
  const { status, stdout, stderr } = await runProgram(["--version"], options);
  assert.deepEqual([status, stderr], [0, ""]);
  const [, version] = /^signalbox (\S+) \(Deno 2\.[\d.]+, \w+-\w+-\w+(?:-\w+)?\)\n$/.exec(stdout) ??
    [];
  assert.equal(version, config.version, stdout);
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

test("the executable carries the core protocol, and finds that it does", async (options) => {
  await using program = await ServingProgram.start([], options);
  const { status, stdout, stderr } = await runProgram(["check", program.url], options);
  assert.deepEqual([status, stderr], [0, ""], stdout);
  assert.equal((await runProgram(["healthcheck", program.url], options)).status, 0);
  await exchange(program.url);
});

test("the executable ends in good order at SIGTERM, also with a client that never answers", async (options) => {
  await using program = await ServingProgram.start(["--drain-timeout", "2s"], options);
  await shutDown(program);
});
