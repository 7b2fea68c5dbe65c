/** Messages between nodes are written and read back, and malformed ones are ignored. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Broadcast,
  type Packet,
  type Publication,
  readBroadcast,
  readPublication,
  readScriptMessage,
  type ScriptMessage,
  VERSION,
  writeBroadcast,
  writePublication,
} from "../../lib/cluster/messages.ts";
import { isClientId } from "../../lib/relay/vocabulary.ts";
import { jsonText, mutated, objectText } from "../helpers/arbitraries.ts";
import { testPure } from "../helpers/pure.ts";
import { NO_RESPONSE } from "./no_response.ts";

const id = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }).filter(isClientId);
const room = fc.oneof(fc.constant(""), id, id.map((name) => `\u0001${name}`));
const node = fc.string({ unit: "grapheme-ascii" });

function record<Model>(model: { [Key in keyof Model]: fc.Arbitrary<Model[Key]> }) {
  return fc.record(model, { noNullPrototype: true });
}

const packet: fc.Arbitrary<Packet> = record({
  kind: fc.constantFrom("message", "broadcast", "notice", "request", "response"),
  room,
  targetId: id,
  epoch: fc.nat(),
  senderId: id,
  order: fc.nat(),
  text: fc.oneof(objectText, fc.constant(""), fc.constant("a\nb\0c\n")),
});
const publication: fc.Arbitrary<Publication> = record({
  node,
  received: fc.integer({ min: -1 }),
  returned: fc.array(fc.nat()),
  hasGap: fc.boolean(),
  handledReturn: fc.nat(),
  acknowledged: fc.nat(),
  previous: fc.nat(),
  deadlineMs: fc.maxSafeNat(),
  packets: fc.array(record({ number: fc.nat(), handledReturn: fc.nat(), packet })),
});
const broadcast: fc.Arbitrary<Broadcast> = record({
  node,
  senderId: id,
  order: fc.nat(),
  deadlineMs: fc.maxSafeNat(),
  seenEpoch: fc.nat(),
  after: fc.dictionary(fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1 }), fc.nat(), {
    noNullPrototype: true,
  }),
  except: fc.array(id),
  text: objectText,
});

testPure("readPublication() is the inverse of writePublication()", () => {
  fc.assert(
    fc.property(publication, (publication) => {
      assert.deepEqual(readPublication(writePublication(publication)), publication);
    }),
    { numRuns: 1000 },
  );
});

testPure("readBroadcast() is the inverse of writeBroadcast()", () => {
  fc.assert(
    fc.property(broadcast, (broadcast) => {
      assert.deepEqual(readBroadcast(writeBroadcast(broadcast)), broadcast);
    }),
    { numRuns: 1000 },
  );
});

const header = (members: object) => JSON.stringify({ v: VERSION, ...members });
const EPOCH = 1.7e15;

/** Messages as scripts write them. */
const FROM_SCRIPTS: readonly (readonly [text: string, message: ScriptMessage])[] = [
  [
    header({ k: "joined", id: "x", n: "a", c: "7" }),
    { kind: "joined", id: "x", node: "a", epoch: 7 },
  ],
  [
    header({ k: "held", id: "x", n: "", c: `${EPOCH}` }),
    { kind: "held", id: "x", node: "", epoch: EPOCH },
  ],
  [header({ k: "node_left", n: "a" }), { kind: "node_left", node: "a" }],
  [
    header({ k: "response", q: 1, s: "taken" }),
    { ...NO_RESPONSE, requestId: 1, status: "taken" },
  ],
  [
    header({
      k: "response",
      q: 2,
      s: "ok",
      r: "room",
      id: "x",
      c: "3",
      t: 1.7e12,
      e: ["x", "a 3 5 0 s", "y", " 4 5 1 "],
    }),
    {
      ...NO_RESPONSE,
      requestId: 2,
      room: "room",
      id: "x",
      epoch: 3,
      claimedAtMs: 1.7e12,
      members: [
        ["x", { node: "a", epoch: 3, isHeld: false }],
        ["y", { node: "", epoch: 4, isHeld: true }],
      ],
    },
  ],
];

testPure("readScriptMessage() reads what scripts write", () => {
  for (const [text, message] of FROM_SCRIPTS) assert.deepEqual(readScriptMessage(text), message);
});

/** Malformed messages, by what is wrong with them. */
const WRONG: Record<string, string> = {
  "nothing": "",
  "not JSON": "hello",
  "no object": "[]",
  "null": "null",
  "another version": JSON.stringify({ v: VERSION + 1, k: "joined", id: "x", n: "a", c: "1" }),
  "no version": JSON.stringify({ k: "joined", id: "x", n: "a", c: "1" }),
  "another kind": header({ k: "hello", id: "x", n: "a", c: "1" }),
  "a kind that objects inherit": header({ k: "constructor", id: "x", n: "a", c: "1" }),
  "no ID": header({ k: "joined", n: "a", c: "1" }),
  "an ID with a control character": header({ k: "joined", id: "a\0b", n: "a", c: "1" }),
  "no epoch": header({ k: "joined", id: "x", n: "a" }),
  "an epoch below zero": header({ k: "joined", id: "x", n: "a", c: "-1" }),
  "a response to nothing": header({ k: "response", s: "ok" }),
  "a response about no string": header({ k: "response", q: 1, s: "ok", id: 1 }),
  "a response with another status": header({ k: "response", q: 1, s: "okay" }),
  "a response with members that are an object": header({ k: "response", q: 1, s: "ok", e: {} }),
};

for (const [what, text] of Object.entries(WRONG)) {
  testPure(`readScriptMessage() ignores ${what}`, () => {
    assert.equal(readScriptMessage(text), null);
  });
}

testPure("no reader throws, or returns a malformed message", () => {
  const texts = fc.oneof(publication.map(writePublication), broadcast.map(writeBroadcast));
  const anyText = fc.oneof(
    fc.string({ unit: "binary" }),
    jsonText,
    mutated(texts),
    mutated(fc.constantFrom(...FROM_SCRIPTS.map(([text]) => text))),
  );
  fc.assert(
    fc.property(anyText, (text) => {
      readScriptMessage(text);
      const { senderId } = readBroadcast(text) ?? {};
      if (senderId !== undefined) assert.ok(isClientId(senderId));
      for (const { number, packet } of readPublication(text)?.packets ?? []) {
        assert.ok(Number.isSafeInteger(number));
        assert.ok(isClientId(packet.targetId));
        assert.equal(typeof packet.text, "string");
      }
    }),
    { numRuns: 3000 },
  );
});
