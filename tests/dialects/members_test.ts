/** The reader of untrusted text accepts what JSON.parse accepts, finds the same members, and locates errors. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import {
  compileNames,
  MAX_FOUND_MEMBERS,
  MAX_PARSED_CHARS,
  type Names,
  readLast,
  scanMembers,
} from "../../lib/dialects/members.ts";
import { signalbox } from "../../lib/dialects/signalbox.ts";
import { describe, ProtocolError } from "../../lib/relay/vocabulary.ts";
import { jsonText, objectText, rendered } from "../helpers/arbitraries.ts";
import { readMembers } from "../helpers/json.ts";
import { testPure } from "../helpers/pure.ts";

/** Every name that a dialect looks for; one is a prefix of another. */
const NAMES = compileNames(
  "type",
  "target_id",
  "from",
  "client_id",
  "clientId",
  "id",
  "room",
  "presence",
  "resume",
  "token",
  "dst",
  "payload",
  "topic",
  "topics",
  "clients",
);

function messageOf(text: string): string {
  try {
    scanMembers(text, NAMES);
  } catch (error) {
    assert(error instanceof ProtocolError && error.code === "invalid_message");
    return error.message;
  }
  return "";
}

/** Converts members to the texts of name with value, comma and value. */
function foundIn<Name extends string>(text: string, names: Names<Name>) {
  return scanMembers(text, names).members.map((member) => ({
    name: member.name,
    text: text.slice(member.nameStart, member.valueEnd),
    valueText: text.slice(member.valueStart, member.valueEnd),
    comma: text[member.comma],
  }));
}

testPure("scanMembers() finds members in the order of the text, duplicates included", () => {
  assert.deepEqual(foundIn('{"a":{"id":1}, "id" : [2] ,"type":"é","id":3}', NAMES), [
    { name: "id", text: '"id" : [2]', valueText: "[2]", comma: "," },
    { name: "type", text: '"type":"é"', valueText: '"é"', comma: "," },
    { name: "id", text: '"id":3', valueText: "3", comma: "," },
  ]);
  assert.deepEqual(foundIn(' {"id":"😀" } ', NAMES), [
    { name: "id", text: '"id":"😀"', valueText: '"😀"', comma: "{" },
  ]);
  assert.deepEqual(foundIn("{}", NAMES), []);
});

testPure("scanMembers() finds the members that the grammar gives, for any names", () => {
  const listed = NAMES.list.map((name) =>
    fc.tuple(rendered(name), jsonText).map((parts) => parts.join(":"))
  );
  const object = fc.array(fc.oneof(...listed), { maxLength: 6 }).map((all) => `{${all.join()}}`);
  fc.assert(
    fc.property(fc.oneof(object, objectText), fc.subarray([...NAMES.list]), (text, list) => {
      const expected = (readMembers(text) ?? []).filter(({ name }) => list.includes(name as never));
      const found = foundIn(text, compileNames(...list)).map(({ comma: _, ...member }) => member);
      assert.deepEqual(found, expected);
    }),
    { numRuns: 3_000 },
  );
});

testPure("scanMembers() returns the size in UTF-8", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (value) => {
      const text = JSON.stringify({ value });
      assert.equal(scanMembers(text, NAMES).bytes, Buffer.byteLength(text));
    }),
  );
});

testPure("compileNames() refuses names that the table cannot hold", () => {
  for (const name of ["", "é", "a b", '"', "a".repeat(128)]) {
    assert.throws(() => compileNames(name), TypeError);
  }
  assert.throws(() => compileNames(..."abc".split("").map((name) => name.repeat(100))), TypeError);
});

testPure("scanMembers() throws errors that name the wrong character and its position", () => {
  for (
    const [text, what] of [
      ["nonsense", 'unexpected "o" at position 1'],
      ["hello", 'unexpected "h" at position 0'],
      ["", "the text ends too early, after 0 characters"],
      ['{"a":1', "the text ends too early, after 6 characters"],
      ["\ufeff{}", "unexpected U+FEFF (byte order mark) at position 0"],
      ["{}\0", "unexpected U+0000 (NUL) at position 2"],
      ['{"a":"\0"}', "unexpected U+0000 (NUL) at position 6"],
      ['{"a":"\n"}', "unexpected U+000A at position 6"],
      ['{"a":1}{"a":1}', 'unexpected "{" at position 7'],
      ["{'a':1}", `unexpected "'" at position 1`],
      ['{"a":1,}', 'unexpected "}" at position 7'],
      ['{"a":01}', 'unexpected "1" at position 6'],
      ['{"a":tru}', 'unexpected "}" at position 8'],
      ['{"a":falsy}', 'unexpected "y" at position 9'],
      ['{"a":"\\x41"}', 'unexpected "x" at position 7'],
      ['{"a":"\\u12g4"}', 'unexpected "g" at position 10'],
      ['{"é":"日😀",😀}', 'unexpected "😀" at position 11'],
      ['{"a":\u00a01}', "unexpected U+00A0 at position 5"],
      ['{"a":\ud800}', "unexpected U+D800 at position 5"],
      ["[1,]", 'unexpected "]" at position 3'],
    ] as const
  ) {
    assert.equal(messageOf(text), `This is not JSON: ${what}.`);
  }
});

testPure("scanMembers() reports a text that ends too early, cut at any place", () => {
  fc.assert(
    fc.property(objectText.map((text) => text.trimEnd()), fc.nat(), (text, length) => {
      const cut = text.slice(0, length % text.length);
      const what = `the text ends too early, after ${cut.length} characters`;
      assert.equal(messageOf(cut), `This is not JSON: ${what}.`);
    }),
    { numRuns: 3_000 },
  );
});

testPure("scanMembers() reports the position of a wrong character at any place", () => {
  fc.assert(
    fc.property(objectText, fc.nat(), (text, place) => {
      const at = place % (text.length + 1);
      fc.pre(text.slice(at - 1, at + 1).isWellFormed()); // not inside a character
      const message = messageOf(`${text.slice(0, at)}\0${text.slice(at)}`);
      assert.equal(message, `This is not JSON: unexpected U+0000 (NUL) at position ${at}.`);
    }),
    { numRuns: 3_000 },
  );
});

testPure("scanMembers() reports the kind of a value that is not an object", () => {
  const long = "9".repeat(5000);
  for (
    const [text, what] of [
      [" null ", "null"],
      ["true", "true"],
      ["-0.5", "-0.5"],
      ["[{}]", "an array"],
      ['"{}"', '"{}"'],
      [`"${"\\n".repeat(5000)}"`, "a string of 10002 characters"],
      [long, "a number of 5000 characters"],
    ] as const
  ) {
    assert.equal(messageOf(text), `A message must be a JSON object, not ${what}.`);
  }
});

testPure("scanMembers() reads a text after an invalid one", () => {
  for (const wrong of ["{", '{"a":é', "[]", "\0"]) {
    assert.notEqual(messageOf(wrong), "");
    assert.equal(foundIn('{"é":1,"id":2}', NAMES)[0]?.valueText, "2");
  }
});

testPure("readLast() returns the value of the last member of a name", () => {
  const text = '{"id":1,"id":"a\\nb","type":{"a":1},"room":[],"token":null,"id":"c\\n"}';
  const scan = scanMembers(text, NAMES);
  assert.equal(readLast(text, scan, "id"), "c\n");
  assert.equal(readLast(text, scan, "token"), null);
  assert.equal(readLast(text, scan, "topic"), undefined);
  assert.equal(describe(readLast(text, scan, "type")), "an object");
  assert.equal(describe(readLast(text, scan, "room")), "an array");
});

testPure("readLast() reads long strings only if they have no escapes", () => {
  const read = (valueText: string) => {
    const text = `{"id":${valueText}}`;
    return readLast(text, scanMembers(text, NAMES), "id");
  };
  const long = "x".repeat(70_000);
  assert.equal(read(`"${long}"`), long);
  assert.equal(describe(read(`"${long}\\n"`)), "a string of 70004 characters");
  assert.equal(describe(read("1".repeat(MAX_PARSED_CHARS + 1))), "a number of 4097 characters");
});

/** The longest message that the default options allow. */
const MAX_MESSAGE_CHARS = 256 * 1024;

/** Returns a message of the allowed size, filled with repetitions of a piece. */
function filled(opening: string, piece: (n: number) => string, closing: string): string {
  const pieces: string[] = [];
  let free = MAX_MESSAGE_CHARS - opening.length - closing.length;
  for (let n = 0; n < MAX_MESSAGE_CHARS; n++) {
    const next = (n === 0 ? "" : ",") + piece(n);
    free -= next.length;
    if (free < 0) break;
    pieces.push(next);
  }
  return opening + pieces.join("") + closing;
}

const name = (n: number) => JSON.stringify(n.toString(36));

/** The messages that are most expensive for JSON.parse. */
const HOSTILE: readonly string[] = [
  ...["type", "target_id", "client_id", "room", "presence", "resume", "token", "a"].flatMap(
    (member) => {
      const opening = `{"type":"register","client_id":"a","${member}":`;
      return [
        filled(`${opening}[`, (n) => `{${name(n)}:1}`, "]}"),
        filled(`${opening}{`, (n) => `${name(n)}:1`, "}}"),
        filled(`${opening}"`, () => "\\n", '"}'),
        filled(`${opening}1`, () => "1", "}").replaceAll(",1", "1"),
      ];
    },
  ),
  filled("{", (n) => `${name(n)}:1`, "}"),
  filled("{", (n) => `"target_id":{${name(n)}:1}`, ',"type":"register"}'),
  filled("{", () => '"t\\u0079pe":"\\n"', "}"),
  filled("[", (n) => `{${name(n)}:1}`, "]"),
  filled("{", (n) => `${name(n)}:1`, ""),
  filled("[", (n) => `{${name(n)}:1}`, ""),
];

testPure("only a few short values of a message reach JSON.parse", () => {
  const parse = JSON.parse;
  let calls = 0;
  let longest = 0;
  JSON.parse = (text: string, ...more: []) => {
    calls++;
    longest = Math.max(longest, text.length);
    return parse(text, ...more);
  };
  try {
    for (const text of HOSTILE) {
      calls = 0;
      for (const sender of [null, signalbox.sender("alice")]) {
        try {
          signalbox.decode(text, sender);
        } catch (error) {
          assert(error instanceof ProtocolError);
        }
      }
      signalbox.targetOf(text);
      assert.ok(calls <= 16, `${calls} calls for ${text.slice(0, 60)}`);
    }
  } finally {
    JSON.parse = parse;
  }
  assert.ok(longest <= MAX_PARSED_CHARS, `${longest} characters`);
});

testPure("scanMembers() refuses more members than it may find", () => {
  const names = compileNames("from", "to");
  const withMembers = (count: number) => `{${Array(count).fill('"from":0').join()},"other":0}`;
  const { members } = scanMembers(withMembers(MAX_FOUND_MEMBERS), names);
  assert.equal(members.length, MAX_FOUND_MEMBERS);
  for (const count of [MAX_FOUND_MEMBERS + 1, 100_000]) {
    assert.throws(() => scanMembers(withMembers(count), names), {
      code: "invalid_message",
      message: "A message may have at most 64 members named from, to: send each once.",
    });
  }
});
