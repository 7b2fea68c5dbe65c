/** Messages are readdressed as the protocol says, without any other change. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { type Envelope, fromMember, readEnvelope, targetOf } from "../../lib/dialects/envelope.ts";
import { ProtocolError } from "../../lib/relay/vocabulary.ts";
import { jsonText, mutated, objectText, rendered, scalarText } from "../helpers/arbitraries.ts";
import { readMembers } from "../helpers/json.ts";
import { testPure } from "../helpers/pure.ts";

const FROM_ALICE = fromMember("alice");

function read(text: string): Envelope {
  return readEnvelope(text, FROM_ALICE);
}

function isInvalid(error: unknown): boolean {
  return error instanceof ProtocolError && error.code === "invalid_message";
}

const EXAMPLES: readonly (readonly [what: string, sent: string, got: string])[] = [
  ["an empty object", "{}", '{"from":"alice"}'],
  ["an empty object with white space", " { \n } ", ' {"from":"alice" \n } '],
  ["no target_id", '{"type":"offer"}', '{"from":"alice","type":"offer"}'],
  ["target_id alone", '{"target_id":"bob"}', '{"from":"alice"}'],
  ["target_id first", '{"target_id":"bob","a":1}', '{"from":"alice","a":1}'],
  ["target_id in the middle", '{"a":1,"target_id":"bob","b":2}', '{"a":1,"from":"alice","b":2}'],
  ["target_id last", '{"a":1 , "target_id" : "bob" }', '{"a":1 , "from":"alice" }'],
  ["a forged from", '{"from":"mallory","a":1}', '{"from":"alice","a":1}'],
  ["a from that is no string", '{"from":{"from":[1]},"a":1}', '{"from":"alice","a":1}'],
  [
    "every duplicate",
    '{"from":1,"target_id":"x","a":1,"from":2,"a":2,"target_id":"bob"}',
    '{"from":"alice","a":1,"a":2}',
  ],
  ["nothing but duplicates", '{"from":1,"from":2 , "target_id":null }', '{"from":"alice"  }'],
  ["escaped names", '{"\\u0074arget_id":"bob","fr\\u006Fm":1}', '{"from":"alice"}'],
  [
    "nested members of the same name",
    '{"a":{"target_id":"x","from":"y"},"b":[{"from":1}],"target_id":"bob"}',
    '{"a":{"target_id":"x","from":"y"},"b":[{"from":1}],"from":"alice"}',
  ],
  [
    "strings that look like members",
    '{"a":"\\",\\"from\\":\\"x","target_id":"bob","b":"\\\\"}',
    '{"a":"\\",\\"from\\":\\"x","from":"alice","b":"\\\\"}',
  ],
  [
    "numbers as they are written",
    '{"a":12345678901234567890,"b":1.0,"c":1e400,"d":-0,"target_id":"b"}',
    '{"a":12345678901234567890,"b":1.0,"c":1e400,"d":-0,"from":"alice"}',
  ],
  [
    "escapes as they are written",
    '{"a":"\\u00e9\\/\\ud83d\\ude00\\ud800","target_id":"b"}',
    '{"a":"\\u00e9\\/\\ud83d\\ude00\\ud800","from":"alice"}',
  ],
  [
    "__proto__ as a member like any other",
    '{"__proto__":{"target_id":"x","from":"y"},"target_id":"b"}',
    '{"__proto__":{"target_id":"x","from":"y"},"from":"alice"}',
  ],
  [
    "names that only resemble",
    '{"From":1,"target_id ":2}',
    '{"from":"alice","From":1,"target_id ":2}',
  ],
];

for (const [what, sent, got] of EXAMPLES) {
  testPure(`readEnvelope() cuts out the members that the protocol says: ${what}`, () => {
    assert.equal(read(sent).text, got);
  });
}

testPure("readEnvelope() puts in one from, and keeps all other text and order", () => {
  fc.assert(
    fc.property(objectText, fc.string({ minLength: 1 }), (text, sender) => {
      const envelope = tryRead(text, fromMember(sender));
      fc.pre(envelope !== null);
      const members = readMembers(envelope.text) ?? [];
      const from = members.filter(({ name }) => name === "from");
      assert.deepEqual(from.map(({ valueText }) => JSON.parse(valueText)), [sender]);
      assert.deepEqual(otherTexts(members), otherTexts(readMembers(text) ?? []));
    }),
    { numRuns: 10_000 },
  );
});

testPure("readEnvelope() keeps the text between members", () => {
  fc.assert(
    fc.property(objectText, (text) => {
      const envelope = tryRead(text);
      fc.pre(envelope !== null);
      const isAddressed = (readMembers(text) ?? []).some(isAddress);
      if (isAddressed) return;
      const without = envelope.text.replace(/"from":"alice",?/, "");
      assert.equal(without, text);
    }),
    { numRuns: 3_000 },
  );
});

function tryRead(text: string, from = FROM_ALICE) {
  try {
    return readEnvelope(text, from);
  } catch (error) {
    assert(isInvalid(error));
    return null;
  }
}

function isAddress({ name }: { readonly name: string }): boolean {
  return name === "from" || name === "target_id";
}

function otherTexts(members: readonly { readonly name: string; readonly text: string }[]) {
  return members.filter((member) => !isAddress(member)).map(({ text }) => text);
}

testPure("readEnvelope() takes the target that JSON.parse gives, if it is a string", () => {
  fc.assert(
    fc.property(objectText, (text) => {
      const expected = JSON.parse(text).target_id ?? "";
      if (typeof expected === "string") assert.equal(read(text).targetId, expected);
      else assert.throws(() => read(text), isInvalid);
    }),
    { numRuns: 5_000 },
  );
});

testPure("readEnvelope() finds the last target_id, escaped or not", () => {
  fc.assert(
    fc.property(rendered("target_id"), rendered("target_id"), (first, last) => {
      assert.equal(read(`{${first}:17,"a":1,${last}:"bob"}`).targetId, "bob");
    }),
  );
});

testPure("readEnvelope() reads a target_id that is null or empty as a broadcast", () => {
  for (const text of ["{}", '{"target_id":null}', '{"target_id":""}', '{"a":{"target_id":"b"}}']) {
    assert.equal(read(text).targetId, "");
  }
});

testPure("readEnvelope() returns the type of JSON.parse, if that is a string", () => {
  const member = fc.tuple(rendered("type"), scalarText).map((parts) => parts.join(":"));
  fc.assert(
    fc.property(fc.array(member, { maxLength: 3 }), (members) => {
      const text = `{${members.join()}}`;
      const { type } = JSON.parse(text);
      assert.equal(read(text).type, typeof type === "string" ? type : undefined);
    }),
    { numRuns: 2_000 },
  );
});

testPure("readEnvelope() returns the size in UTF-8", () => {
  for (const text of ['{"a":"a"}', '{"a":"é"}', '{"a":"→"}', '{"a":"🙂"}']) {
    assert.equal(read(text).bytes, Buffer.byteLength(text));
  }
});

testPure("readEnvelope() refuses what JSON.parse refuses, and what is no object", () => {
  fc.assert(
    fc.property(fc.oneof(jsonText, mutated(objectText)), (text) => {
      assert.equal(tryRead(text) !== null, isAcceptable(text));
    }),
    { numRuns: 10_000 },
  );
});

testPure("readEnvelope() returns valid JSON for every accepted message", () => {
  fc.assert(
    fc.property(mutated(objectText), (text) => {
      const envelope = tryRead(text);
      fc.pre(envelope !== null);
      assert.equal(JSON.parse(envelope.text).from, "alice");
    }),
    { numRuns: 5_000 },
  );
});

testPure("readEnvelope() accepts the same characters as JSON.parse in every place", () => {
  const text =
    ' {"a" :[-10.5e+7,{"b":"c\\n\\u00e9\\\\"} ],"d":{"e":[]}, "target_id":null,"f":true}';
  const characters = Array.from({ length: 0x102 }, (_, code) => String.fromCharCode(code));
  for (const character of [...characters, "", "\u2028", "\ufeff", "\ud83d", "🙂"]) {
    for (let at = 0; at <= text.length; at++) {
      for (const replaced of [0, 1, 2]) {
        const changed = text.slice(0, at) + character + text.slice(at + replaced);
        const envelope = tryRead(changed);
        assert.equal(envelope !== null, isAcceptable(changed), changed);
        if (envelope !== null) assert.equal(JSON.parse(envelope.text).from, "alice");
      }
    }
  }
});

function isAcceptable(text: string): boolean {
  try {
    const value = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
    return typeof (value.target_id ?? "") === "string";
  } catch {
    return false;
  }
}

testPure("the oracle of these tests accepts exactly what JSON.parse accepts", () => {
  fc.assert(
    fc.property(fc.oneof(jsonText, mutated(jsonText)), (text) => {
      assert.equal(accepts(readMembers, text), accepts(JSON.parse, text));
    }),
    { numRuns: 5_000 },
  );
});

function accepts(read: (text: string) => unknown, text: string): boolean {
  try {
    read(text);
    return true;
  } catch {
    return false;
  }
}

testPure("readEnvelope() throws errors that name the cause", () => {
  const nested = `${"[".repeat(30_000)}${"]".repeat(30_000)}`;
  const form = "target_id must be the ID of a client or null, not";
  for (
    const [text, message] of [
      ["nonsense", 'This is not JSON: unexpected "o" at position 1.'],
      ["[{}]", "A message must be a JSON object, not an array."],
      [nested, "A message must be a JSON object, not an array."],
      ['{"target_id":17}', `${form} 17.`],
      ['{"target_id":1e400}', `${form} Infinity.`],
      [`{"target_id":${nested}}`, `${form} an array.`],
      [`{"target_id":{"a":${nested}}}`, `${form} an object.`],
      [`{"target_id":"${"\\n".repeat(5000)}"}`, `${form} a string of 10002 characters.`],
    ] as const
  ) {
    assert.throws(() => read(text), { code: "invalid_message", message });
  }
});

testPure("targetOf() returns the last target_id that is an ID, and never throws", () => {
  for (
    const [text, target] of [
      ['{"target_id":"x","a":{"target_id":"y"},"target\\u005fid":"b\\u006fb"}', "bob"],
      ['{"target_id":"x","target_id":""}', undefined],
      ['{"target_id":"x","target_id":null}', undefined],
      ['{"target_id":["bob"]}', undefined],
      ['{"target_id":"bob"', undefined],
      ["[]", undefined],
      ["{}", undefined],
    ] as const
  ) {
    assert.equal(targetOf(text), target, text);
  }
});

testPure("readEnvelope() reads deep and long values without recursion", () => {
  const nested = `${'{"a":['.repeat(20_000)}${"]}".repeat(20_000)}`;
  const escapes = `"${'\\"\\\\'.repeat(20_000)}"`;
  assert.equal(
    read(`{"a":${nested},"b":${escapes},"target_id":"bob"}`).text,
    `{"a":${nested},"b":${escapes},"from":"alice"}`,
  );
});

const LONGER_THAN_ANY_BEFORE = 300_000;

for (
  const member of [
    '"\\n":1,', // may be any name until it is read
    '"a":[{}],',
    '"é":[{}],',
    '"日":[{}],',
    '"😀":[{}],',
    '"a":[[[[[[[[]]]]]]]],',
  ]
) {
  testPure(`readEnvelope() has memory for any number of ${member}`, () => {
    for (const length of [1, 100, 10_000, LONGER_THAN_ANY_BEFORE]) {
      const members = member.repeat(Math.ceil(length / member.length));
      const { targetId, text } = read(`{"target_id":"bob",${members}"end":1}`);
      assert.equal(targetId, "bob");
      assert.equal(text, `{"from":"alice",${members}"end":1}`);
    }
  });
}

testPure("readEnvelope() has memory for any number of brackets", () => {
  const brackets = "[".repeat(LONGER_THAN_ANY_BEFORE) + "]".repeat(LONGER_THAN_ANY_BEFORE);
  const text = `{"a":${brackets},"target_id":"bob"}`;
  assert.equal(read(text).text, `{"a":${brackets},"from":"alice"}`);
});
