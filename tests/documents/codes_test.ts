/** protocol.md has every error code and close code, with what follows, and the bounds of the mailbox. */

import assert from "node:assert/strict";
import { MAILBOX_LIMITS } from "../../lib/relay/mailbox.ts";
import { CLOSE_CODES, type CloseReason, ERROR_CODES } from "../../lib/relay/vocabulary.ts";
import { codeIn, readDocument, tableUnder } from "../helpers/documents.ts";

const protocol = readDocument("protocol");
const errors = tableUnder(protocol, "Errors");

Deno.test("protocol.md has every error code, once", () => {
  const documented = errors.flatMap(([code]) => codeIn(code!));
  assert.deepEqual(documented.toSorted(), ERROR_CODES.toSorted());
});

Deno.test("protocol.md says with which code an error closes the connection", () => {
  for (const [name, , then] of errors) {
    const [code] = codeIn(name!);
    const [, closeCode = "none"] = /close (\d+)/.exec(then!) ?? [];
    assert.equal(closeCode, String(CLOSE_CODES[code as CloseReason] ?? "none"), code);
  }
});

Deno.test("protocol.md has every close code of the server, with its reasons", () => {
  const documented = tableUnder(protocol, "Closing").flatMap(([code, reasons]) => {
    if (reasons!.startsWith("none")) return []; // the runtime's own
    if (reasons !== "the code of the error") {
      return codeIn(reasons!).map((it) => [it, Number(code)]);
    }
    return ERROR_CODES.filter((it) => CLOSE_CODES[it as CloseReason] === Number(code))
      .map((it) => [it, Number(code)]);
  });
  assert.deepEqual(Object.fromEntries(documented), CLOSE_CODES);
});

Deno.test("protocol.md has the bounds of the mailbox", () => {
  const { messagesPerPair, messagesPerTarget, ...limits } = MAILBOX_LIMITS;
  const mebibytes = (bytes: number) => `${bytes / 1024 ** 2} MiB`;
  assert.deepEqual(
    tableUnder(protocol, "Mailbox").map(([, value]) => value),
    [
      `${messagesPerPair}`,
      `${messagesPerTarget}, and ${mebibytes(limits.bytesPerTarget)} of UTF-8`,
      mebibytes(limits.bytesInAll),
      `a sixteenth of that, ${mebibytes(limits.bytesPerAddress)}`,
    ],
  );
});
