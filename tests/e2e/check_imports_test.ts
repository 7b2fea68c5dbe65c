/** The rules of who imports whom find what breaks them. */

import assert from "node:assert/strict";
import { checkImports } from "../../scripts/check_imports.ts";
import { testPure } from "../helpers/pure.ts";

/** A house in order. */
const GOOD: Readonly<Record<string, string>> = {
  "main.ts":
    'import { Server } from "../lib/server.ts";\nnew Server(Deno.args, Deno.env.toObject());',
  "lib/server.ts":
    'import { Connection } from "../connection.ts";\nDeno.serve(() => new Response());',
  "lib/connection.ts":
    'import { Buffer } from "node:buffer";\nimport { Router } from "../router.ts";',
  "lib/router.ts": 'import {\n  errorFrame,\n  isClientId,\n} from "../protocol.ts";',
  "lib/protocol.ts":
    '/** Like Deno.stderr; see "./server.ts". */\nconst a = "// no comment"; // Deno.env',
  "lib/auth.ts": 'import type * as Jose from "jose";\nconst jose = await import("jose");',
  "scripts/check.ts": 'import { isClientId } from "../../lib/relay/vocabulary.ts";\nDeno.exit(1);',
  "tests/server_test.ts": 'import { Server } from "../../lib/http/server.ts";\nDeno.env.get("CI");',
};

/** What is found once a line is added to a file. */
function findings(path: string, line: string): string[] {
  const files = { ...GOOD, [path]: `${GOOD[path] ?? ""}\n${line}\n` };
  return checkImports(new Map(Object.entries(files)));
}

testPure("checkImports() finds nothing in a house that is in order", () => {
  assert.deepEqual(checkImports(new Map(Object.entries(GOOD))), []);
});

/** A line that must not be where it is planted, and what is said of it. */
const PLANTED: readonly (readonly [path: string, line: string, said: RegExp])[] = [
  ["lib/server.ts", 'import "../../main.ts";', /^lib\/server\.ts imports main\.ts: /],
  ["lib/auth.ts", 'import { a } from "../a.ts";', /^lib\/auth\.ts imports tests\/a\.ts: /],
  ["scripts/check.ts", 'import "../a.ts";', /^scripts\/check\.ts imports tests\/a\.ts: /],
  ["lib/auth.ts", 'import fc from "fast-check";', /^lib\/auth\.ts imports fast-check: /],
  ["lib/limits.ts", 'import type { A } from "../connection.ts";', /imports lib\/connection\.ts: /],
  [
    "lib/limits.ts",
    'export { a } from "../router.ts";',
    /^lib\/limits\.ts imports lib\/router\.ts: /,
  ],
  ["lib/limits.ts", 'const a = await import("../server.ts");', /imports lib\/server\.ts: /],
  [
    "lib/limits.ts",
    'import {\n  a,\n  b,\n} from "../cluster/node.ts";',
    /lib\/cluster\/node\.ts: /,
  ],
  ["lib/connection.ts", 'import { a } from "../options.ts";', /imports lib\/options\.ts: /],
  ["lib/cluster/node.ts", 'import { a } from "../../server.ts";', /imports lib\/server\.ts: /],
  ["lib/server.ts", 'import { Command } from "commander";', /imports commander: /],
  ["lib/server.ts", 'import { createClient } from "redis";', /imports redis: /],
  ["lib/cluster/redis.ts", 'import { createClient } from "redis";', /redis at the start: /],
  [
    "lib/auth.ts",
    'import { jwtVerify } from "jose";',
    /^lib\/auth\.ts imports jose at the start: /,
  ],
  ["lib/router.ts", "const now = Deno.memoryUsage();", /^lib\/router\.ts uses Deno: /],
  ["lib/server.ts", 'Deno.env.get("HOME");', /^lib\/server\.ts reads arguments or environment: /],
  ["lib/router.ts", "process.env.HOME;", /^lib\/router\.ts reads arguments or environment: /],
  [
    "lib/protocol.ts",
    'import { a } from "../router.ts";',
    /^a circle: lib\/router\.ts → lib\/protocol\.ts → lib\/router\.ts$/,
  ],
  ["lib/limits.ts", 'import "../limits.ts";', /^a circle: lib\/limits\.ts → lib\/limits\.ts$/],
];

for (const [path, line, said] of PLANTED) {
  testPure(`checkImports() finds ${JSON.stringify(line)} in ${path}`, () => {
    const found = findings(path, line);
    assert(found.some((finding) => said.test(finding)), `found only: ${found.join("\n")}`);
  });
}
