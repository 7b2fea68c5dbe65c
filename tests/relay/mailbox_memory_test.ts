/** The mailbox's bound in all is one of memory, whatever is sent. */

import assert from "node:assert/strict";
import { MAX_BYTES_IN_ALL } from "../../lib/relay/mailbox.ts";

const PROGRAM = new URL("../helpers/fill_mailbox.ts", import.meta.url).pathname;

async function fill(kind: string, count: number) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "--v8-flags=--expose-gc", PROGRAM, kind, `${count}`],
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

for (
  const [kind, count] of [
    ["next to nothing", 1_000_000],
    ["long IDs", 100_000],
    ["1 KB of ASCII", 100_000],
    ["1 KB with one wide character", 100_000],
  ] as const
) {
  Deno.test(`${count} targets that do not come take no more than the bound: ${kind}`, async () => {
    const { kept, usedBytes } = await fill(kind, count);
    const mebibytes = (usedBytes / 1024 ** 2).toFixed(1);
    const each = Math.round(usedBytes / kept);
    console.info(`${kind}: ${count} sent, ${kept} kept in ${mebibytes} MiB, ${each} bytes each`);
    assert.ok(kept < count, "some were refused");
    assert.ok(usedBytes < 1.1 * MAX_BYTES_IN_ALL, `${mebibytes} MiB`);
    assert.ok(usedBytes > 0.6 * MAX_BYTES_IN_ALL, `${mebibytes} MiB: the count is too strict`);
  });
}
