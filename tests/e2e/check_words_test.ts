/** The check of words finds them in comments, strings and names. */

import assert from "node:assert/strict";
import { checkWords } from "../../scripts/check_words.ts";
import { testPure } from "../helpers/pure.ts";

testPure("checkWords() names the line, the word, and what to write", () => {
  const out = "some" + "body";
  const text = `/** Notifies the sender. */\nconst a = "${out} left"; // Nothing else.\n`;
  assert.deepEqual(checkWords("lib/a.ts", text), [
    `lib/a.ts:2: "${out}": write the actor: the client, the sender, the operator`,
  ]);
});

testPure("checkWords() finds words inside identifiers", () => {
  const out = ["te" + "llAll", "he" + "ardAtMs", "whileHe" + "ard", "_te" + "ll_error"];
  for (const name of out) {
    const [found] = checkWords("lib/a.ts", `const { ${name} } = this;\n`);
    assert.match(found ?? "", /^lib\/a\.ts:1: ".*": write notify/, name);
  }
  assert.deepEqual(checkWords("lib/a.ts", "heartbeat({ tcpBacklog: 4096 });\n"), []);
});

testPure("checkWords() finds doc comments that begin with neither a noun nor a verb", () => {
  for (
    const comment of [
      "/** Un" + "til it ends. */",
      "/**\n * Un" + "til it ends.\n */",
      '""' + '"In it."""',
    ]
  ) {
    const [found] = checkWords("lib/a", `\n${comment}\n`);
    assert.match(found ?? "", /a noun or a verb/, comment);
  }
  assert.deepEqual(checkWords("lib/a.ts", "/** Time until it ends, if it does. */\n"), []);
});
