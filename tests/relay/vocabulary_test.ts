/** Codes and IDs are as the protocol specifies. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  CLOSE_CODES,
  type CloseReason,
  describe,
  ERROR_CODES,
  isClientId,
  isFatalCode,
  isGoodbye,
  releasesId,
} from "../../lib/relay/vocabulary.ts";
import { testPure } from "../helpers/pure.ts";

testPure("isClientId() accepts 1 to 128 code points", () => {
  for (const character of ["a", "é", "€", "😀", "\u200b", " "]) {
    assert(isClientId(character));
    assert(isClientId(character.repeat(128)));
    assert(!isClientId(character.repeat(129)));
  }
  assert(isClientId("😀".repeat(100) + "a".repeat(28)));
  assert(!isClientId("😀".repeat(100) + "a".repeat(29)));
  assert(!isClientId(""));
});

testPure("isClientId() takes no C0, DEL or C1 control characters, and their neighbours", () => {
  for (let code = 0; code <= 0xff; code++) {
    const isControl = code < 0x20 || (code >= 0x7f && code <= 0x9f);
    const id = `a${String.fromCharCode(code)}b`;
    assert.equal(isClientId(id), !isControl, `U+${code.toString(16)}`);
  }
});

testPure("isClientId() rejects lone surrogates", () => {
  for (
    const id of ["\ud800", "\udfff", "a\ud83d", "\ude00b", "\ude00\ud83d", "\ud83d\ud83d\ude00"]
  ) {
    assert(!isClientId(id));
  }
});

testPure("isClientId() rejects values that are not strings", () => {
  for (const value of [undefined, null, 5, true, ["a"], { length: 1 }, new String("a")]) {
    assert(!isClientId(value));
  }
});

testPure("isClientId() follows the protocol for any string", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 140 }), (text) => {
      const points = Array.from(text, (character) => character.codePointAt(0)!);
      const isAllowed = (point: number) =>
        point >= 0x20 && !(point >= 0x7f && point <= 0x9f) && !(point >= 0xd800 && point <= 0xdfff);
      const expected = points.length >= 1 && points.length <= 128 && points.every(isAllowed);
      assert.equal(isClientId(text), expected);
    }),
    { numRuns: 2000 },
  );
});

/** Close codes of section 2 of the protocol, and true if the ID is held afterwards (section 6). */
const REASONS: Readonly<Record<CloseReason, readonly [code: number, held: boolean]>> = {
  invalid_message: [1008, false],
  not_registered: [1008, false],
  register_timeout: [1008, false],
  invalid_client_id: [1008, false],
  unauthorized: [1008, false],
  forbidden: [1008, false],
  rate_limited: [1008, false],
  disconnected: [1008, false],
  id_taken: [4409, true],
  id_held: [1013, true],
  server_full: [1013, true],
  replaced: [4409, true],
  message_too_large: [1009, false],
  shutting_down: [1012, true],
  overloaded: [1013, true],
  internal_error: [1011, true],
};

testPure("every reason closes with the code of the protocol, and fits into a close frame", () => {
  assert.deepEqual(Object.keys(CLOSE_CODES), Object.keys(REASONS));
  for (const [key, [code, held]] of Object.entries(REASONS)) {
    const reason = key as CloseReason;
    assert.equal(CLOSE_CODES[reason], code, reason);
    assert.equal(releasesId(reason), !held, reason);
    assert(reason.length <= 123); // RFC 6455 section 5.5
  }
});

testPure("an error code is fatal if it closes, and the silent reasons are no error codes", () => {
  const silent = ["disconnected", "shutting_down", "overloaded", "internal_error"];
  const mild = ["already_registered", "target_not_found", "mailbox_full", "unavailable"];
  const fatal = Object.keys(REASONS).filter((reason) => !silent.includes(reason));
  assert.deepEqual([...ERROR_CODES].sort(), [...fatal, ...mild].sort());
  assert.deepEqual(ERROR_CODES.filter((code) => !isFatalCode(code)), mild);
});

testPure("isGoodbye() is true for a close with 1000 or without a code alone", () => {
  for (const code of [1000, 1005]) assert(isGoodbye(code));
  for (const code of [0, 1001, 1002, 1003, 1006, 1008, 1011, 3000, 4000]) assert(!isGoodbye(code));
});

testPure("describe() quotes and shortens values", () => {
  for (
    const [value, text] of [
      [undefined, "nothing"],
      [null, "null"],
      [true, "true"],
      [17, "17"],
      [-Infinity, "-Infinity"],
      ["a\nb", '"a\\nb"'],
      [[1], "an array"],
      [{ a: 1 }, "an object"],
      ["x".repeat(78), `"${"x".repeat(78)}"`],
      ["x".repeat(79), `"${"x".repeat(79)}…`],
      [`${"x".repeat(78)}😀y`, `"${"x".repeat(78)}\ufffd…`],
    ] as const
  ) {
    assert.equal(describe(value), text);
  }
});
