/** The mailbox's bound in all limits the memory of any messages. */

import assert from "node:assert/strict";
import { MAILBOX_LIMITS } from "../../lib/relay/mailbox.ts";

const PROGRAM = new URL("../helpers/fill_mailbox.ts", import.meta.url).pathname;
const { bytesInAll } = MAILBOX_LIMITS;

async function fill(kind: string, count: number) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "--v8-flags=--expose-gc", PROGRAM, kind, `${count}`],
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

for (
  const [kind, count] of [
    ["next to nothing", 200_000],
    ["many senders", 200_000],
    ["long IDs", 100_000],
    ["middling IDs, 10 KB of ASCII", 20_000],
    ["1 KB of ASCII", 100_000],
    ["1 KB with one wide character", 100_000],
  ] as const
) {
  Deno.test(`${count} messages to absent targets stay within the bound of memory: ${kind}`, async () => {
    const { stored, usedBytes } = await fill(kind, count);
    const mebibytes = (usedBytes / 1024 ** 2).toFixed(1);
    const each = Math.round(usedBytes / stored);
    console.info(`${kind}: ${stored} stored in ${mebibytes} MiB, ${each} bytes each`);
    assert.ok(stored < count, "some were refused");
    assert.ok(usedBytes < 1.1 * bytesInAll, `${mebibytes} MiB`);
    assert.ok(usedBytes > 0.3 * bytesInAll, `${mebibytes} MiB: the count is too strict`);
  });
}
