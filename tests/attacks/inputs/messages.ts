/** Hostile messages: whole, and yet nothing that can be forwarded; or strange, and yet to be forwarded as it is. */

import { frameBytes, OPCODE } from "../../helpers/frames.ts";
import type { Random } from "../../helpers/random.ts";
import { type Kind, registered, unregistered } from "./kind.ts";

/** More than a recursive reader can take. */
const DEEP = 20_000;
const DEEP_ARRAY = "[".repeat(DEEP) + "]".repeat(DEEP);
const DEEP_OBJECT = '{"a":'.repeat(5000) + "1" + "}".repeat(5000);

const BROKEN_JSON = [
  "",
  " ",
  "\ufeff{}",
  "{",
  "{]",
  '{"a":}',
  '{"a":1,}',
  "{'a':1}",
  '{"a":01}',
  '{"a":NaN}',
  '{"a":"\n"}',
  '{"a":"\\x"}',
  '{"a":1}{"b":2}',
  '{"a":1}\0',
  "[".repeat(DEEP),
  "null",
  "[]",
  '"text"',
  "7",
];

/** JSON values that are no target, and no ID. */
const SHORT_BAD_VALUES = ["0", "true", "{}", "[]", '["bob"]', "1e400"];
const BAD_VALUES = [...SHORT_BAD_VALUES, DEEP_ARRAY, DEEP_OBJECT];

const SHORT_BAD_IDS = ["a\u0000b", "a\u001b[2J", "a\nINFO - forged", "\u009b", "x".repeat(129)];
const LONG_ID = "x".repeat(60_000);
const BAD_IDS = [...SHORT_BAD_IDS, LONG_ID];

const NO_REGISTRATION = [
  '{"type":"offer"}',
  '{"target_id":"left","text":"before I have said who I am"}',
  '{"Type":"register","client_id":"a"}',
  '{"type":["register"],"client_id":"a"}',
];

function text(payload: string): Uint8Array {
  return frameBytes({ payload });
}

function json(value: unknown): Uint8Array {
  return text(JSON.stringify(value));
}

/** Members that the server looks for, a hundred times and more. */
function repetitiveMessage(random: Random): string {
  const member = random.pick(['"from":"x"', '"target_id":""', '"type":0', '"fro\\u006d":[]']);
  return `{${Array(random.integer(65, 4000)).fill(member).join()}}`;
}

/** Members by the thousand, long names, names that mean something elsewhere, strings that look like members. */
function strangeMessage(random: Random): string {
  const many = (member: (n: number) => string) => {
    return `{${Array.from({ length: random.integer(1, 4000) }, (_, n) => member(n)).join()}}`;
  };
  return random.pick([
    many((n) => `"${n}":${n}`),
    `{"${"k".repeat(60_000)}":1}`,
    `{"a":"${"\\\\".repeat(30_000)}"}`,
    `{"a":"${'\\"'.repeat(30_000)}","target_id":null}`,
    '{"__proto__":{"target_id":"left"},"constructor":{"prototype":1},"toString":null}',
    '{"a":"\\ud800","\\u0074arget_id":"","fro\\u006d":"left"}',
    `{"deep":${DEEP_ARRAY}}`,
  ]);
}

export const BAD_MESSAGES: readonly Kind[] = [
  registered("broken JSON", "invalid_message", (random) => text(random.pick(BROKEN_JSON))),
  registered("targets that are none", "invalid_message", (random) => {
    return text(`{"target_id":${random.pick(BAD_VALUES)}}`);
  }),
  registered("targets that no client can be", "target_not_found", (random) => {
    return json({ target_id: random.pick(BAD_IDS) });
  }),
  registered("strange messages", "open", (random) => text(strangeMessage(random))),
  registered("repetitive messages", "invalid_message", (random) => {
    return text(repetitiveMessage(random));
  }),
  registered("binary frames that are no text", "invalid_message", (random) => {
    return frameBytes({ opcode: OPCODE.BINARY, payload: random.bytes(random.integer(0, 1000)) });
  }),
  registered("messages that are too large", "1009", (random) => {
    return text(`{"a":"${"é".repeat(random.integer(131_072, 500_000))}"}`);
  }),
  registered("a second registration as another", "already_registered", (random) => {
    return json({ type: "register", client_id: random.pick(["left", "right", ...BAD_IDS]) });
  }),
  unregistered("a first message that is none", "1008", [...BROKEN_JSON, ...NO_REGISTRATION]),
  unregistered("IDs and rooms that are none", "1008", [
    ...SHORT_BAD_IDS.map((id) => JSON.stringify({ type: "register", client_id: id })),
    ...SHORT_BAD_IDS.map((room) => JSON.stringify({ type: "register", client_id: "a", room })),
    ...SHORT_BAD_VALUES.map((value) => `{"type":"register","client_id":${value}}`),
    '{"type":"register","client_id":""}',
    '{"type":"register","client_id":"\\ud800"}',
    '{"type":"register"}',
  ]),
  unregistered("registrations that are too large", "1009", [
    JSON.stringify({ type: "register", client_id: LONG_ID }),
    `{"type":"register","client_id":"a","deep":${DEEP_ARRAY}}`,
    `{"type":"register","client_id":${DEEP_OBJECT}}`,
  ]),
];
