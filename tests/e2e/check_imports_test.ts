/** The check of imports finds what breaks its rules. */

import assert from "node:assert/strict";
import { checkImports } from "../../scripts/check_imports.ts";
import { testPure } from "../helpers/pure.ts";

testPure("checkImports() finds a wrong room, a wrong package, an eager one, and a cycle", () => {
  const top = "file:///top/";
  const code = (specifier: string) => ({ code: { specifier } });
  const found = checkImports([
    {
      specifier: `${top}lib/relay/router.ts`,
      dependencies: [
        code(`${top}lib/auth/tokens.ts`),
        code(`${top}lib/http/server.ts`),
        { type: { specifier: `${top}lib/config/options.ts` } },
        { ...code("npm:jose@6.2.17"), isDynamic: true },
      ],
    },
    {
      specifier: `${top}lib/auth/tokens.ts`,
      dependencies: [
        { type: { specifier: "npm:jose@6.2.17" } },
        code("npm:jose@6.2.17"),
        code(`${top}lib/auth/turn.ts`),
      ],
    },
    { specifier: `${top}lib/auth/turn.ts`, dependencies: [code(`${top}lib/auth/tokens.ts`)] },
  ], top);
  assert.deepEqual(found, [
    "lib/relay/router.ts imports lib/http/server.ts: relay may import auth, base",
    "lib/relay/router.ts imports lib/config/options.ts: relay may import auth, base",
    "lib/relay/router.ts imports jose: not in its room",
    "lib/auth/tokens.ts imports jose at the start: use import()",
    "a cycle: lib/auth/tokens.ts → lib/auth/turn.ts → lib/auth/tokens.ts",
  ]);
});
