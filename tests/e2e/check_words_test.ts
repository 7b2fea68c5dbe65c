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
