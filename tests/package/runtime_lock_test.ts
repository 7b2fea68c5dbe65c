/** The executable has the packages that the program imports, and none that only tests need. */

import assert from "node:assert/strict";
import { PACKAGES } from "../../scripts/check_imports.ts";
import { type Lock, pruneLock } from "../../scripts/package/runtime_lock.ts";
import { findExecutable, isExecutableMissing } from "../helpers/executable.ts";
import { testPure } from "../helpers/pure.ts";

/** Upper bound of the executable, the documents included. */
const MAX_BYTES = 105e6;
/** Upper bound of the list of packages in it, in characters. */
const LIST_CHARS = 20_000;

testPure("pruneLock() keeps what the named packages need, in each version", () => {
  const npm = {
    "a@1.0.0_b@2.0.0": { integrity: "sha512-a", dependencies: ["b@2.0.0", "@c/d"] },
    "ab@1.0.0": {},
    "b@1.0.0": {},
    "b@2.0.0": {},
    "@c/d@1.0.0": { dependencies: ["a"] },
  };
  const specifiers = { "npm:a@1": "1.0.0_b@2.0.0", "npm:ab@1": "1.0.0" };
  const lock = { version: "5", specifiers, npm, workspace: { dependencies: ["npm:ab@1"] } };
  const { ["ab@1.0.0"]: _, ["b@1.0.0"]: __, ...kept } = npm;
  assert.deepEqual(pruneLock(lock, ["a"]), {
    version: "5",
    specifiers: { "npm:a@1": "1.0.0_b@2.0.0" },
    npm: kept,
  });
});

Deno.test("the executable has the packages of the program and no others, in at most 105 MB", async () => {
  const path = findExecutable();
  if (isExecutableMissing(path)) return;
  const bytes = await Deno.readFile(path);
  assert.ok(bytes.length <= MAX_BYTES, `${bytes.length} bytes`);
  const lock: Lock = JSON.parse(
    await Deno.readTextFile(new URL("../../deno.lock", import.meta.url)),
  );
  const expected = Object.keys(pruneLock(lock, Object.keys(PACKAGES)).npm);
  const file = new TextDecoder("latin1").decode(bytes);
  const first = file.indexOf(`\0${expected[0]}`); // a length stands before each name in the list
  assert.ok(first >= 0, "there is no list of packages");
  const list = file.slice(Math.max(0, first - LIST_CHARS), first + LIST_CHARS);
  const found = Object.keys(lock.npm).filter((id) => list.includes(`\0${id}`));
  assert.deepEqual(found, expected);
});
