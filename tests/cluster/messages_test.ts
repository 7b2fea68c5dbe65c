/** Messages between nodes are written and read back, and malformed ones are ignored. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type BusMessage,
  type DirectMessage,
  readMessage,
  VERSION,
  writeMessage,
} from "../../lib/cluster/messages.ts";
import { isClientId } from "../../lib/relay/vocabulary.ts";
import { jsonText, mutated, objectText } from "../helpers/arbitraries.ts";
import { testPure } from "../helpers/pure.ts";

const id = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }).filter(isClientId);
const room = fc.oneof(fc.constant(""), id);
const node = fc.string({ unit: "grapheme-ascii" });

function record<Model>(model: { [Key in keyof Model]: fc.Arbitrary<Model[Key]> }) {
  return fc.record(model, { noNullPrototype: true });
}

const storage = record({
  maxTtlMs: fc.oneof(fc.nat(), fc.constant(Infinity)),
  expiresTogether: fc.boolean(),
});
const direct: fc.Arbitrary<DirectMessage> = fc.record({
  kind: fc.constant("message"),
  room: fc.oneof(room, id.map((name) => `\u0001${name}`)),
  targetId: id,
  text: objectText,
  sender: fc.option(record({ node, id })),
  storage,
}, { noNullPrototype: true, requiredKeys: ["kind", "room", "targetId", "text", "sender"] });
const broadcast = record({ kind: fc.constant("broadcast" as const), node, text: objectText });
const written = fc.oneof(direct, broadcast);

testPure("readMessage() is the inverse of writeMessage()", () => {
  fc.assert(
    fc.property(written, (message) => {
      assert.deepEqual(readMessage(writeMessage(message)), message);
      assert.ok(writeMessage(message).endsWith(`\n${message.text}`));
    }),
    { numRuns: 2000 },
  );
});

testPure("readMessage() reads the number that scripts put before a message", () => {
  fc.assert(
    fc.property(written, fc.nat(), (message, number) => {
      assert.deepEqual(readMessage(`${number} ${writeMessage(message)}`), { ...message, number });
    }),
  );
});

const header = (members: object) => JSON.stringify({ v: VERSION, ...members });

/** Messages as scripts write them. */
const FROM_SCRIPTS: readonly (readonly [text: string, message: BusMessage])[] = [
  [
    header({ k: "replaced", r: "", id: "x", c: 7 }),
    { kind: "replaced", room: "", id: "x", epoch: 7 },
  ],
  [header({ k: "fetched", m: "n:1" }), { kind: "fetched", messageId: "n:1" }],
  [
    header({ k: "returned", m: "n:1", r: "r", id: "x", f: "y", b: 12, t: 5000, e: true }),
    {
      kind: "returned",
      messageId: "n:1",
      room: "r",
      targetId: "x",
      senderId: "y",
      bytes: 12,
      ttlMs: 5000,
      expiresTogether: true,
    },
  ],
  [header({ k: "join", id: "x" }), { kind: "join", id: "x" }],
  [header({ k: "leave", id: "x" }), { kind: "leave", id: "x" }],
  [
    header({ k: "answer", q: 1, s: "taken" }),
    { kind: "answer", requestId: 1, status: "taken", epoch: 0, claimedAtMs: 0, ids: [], mail: [] },
  ],
  [
    header({ k: "answer", q: 2, s: "ok", c: 3, t: 1.7e12, e: ["x", "y"], w: ["a\nb"] }),
    {
      kind: "answer",
      requestId: 2,
      status: "ok",
      epoch: 3,
      claimedAtMs: 1.7e12,
      ids: ["x", "y"],
      mail: ["a\nb"],
    },
  ],
];

testPure("readMessage() reads what scripts write", () => {
  for (const [text, message] of FROM_SCRIPTS) assert.deepEqual(readMessage(text), message);
});

const LONG_ID = "x".repeat(129);

/** Malformed messages, by what is wrong with them. */
const WRONG: Record<string, string> = {
  "nothing": "",
  "not JSON": "hello",
  "no object": "[]",
  "null": "null",
  "another version": JSON.stringify({ v: VERSION + 1, k: "join", id: "x" }),
  "no version": JSON.stringify({ k: "join", id: "x" }),
  "a version as text": JSON.stringify({ v: String(VERSION), k: "join", id: "x" }),
  "another kind": header({ k: "hello", id: "x" }),
  "no kind": header({ id: "x" }),
  "a kind that objects inherit": header({ k: "constructor", id: "x" }),
  "no ID": header({ k: "join" }),
  "an empty ID": header({ k: "leave", id: "" }),
  "an ID that is too long": header({ k: "join", id: LONG_ID }),
  "an ID with a control character": header({ k: "join", id: "a\0b" }),
  "an ID of another type": header({ k: "join", id: ["x"] }),
  "a message without a text": header({ k: "message", r: "", id: "x", f: null }),
  "a message without a room": `${header({ k: "message", id: "x", f: null })}\n{}`,
  "a message without a sender member": `${header({ k: "message", r: "", id: "x" })}\n{}`,
  "a message whose sender has no node": `${
    header({ k: "message", r: "", id: "x", f: { id: "y" } })
  }\n{}`,
  "a message whose sender has no ID": `${
    header({ k: "message", r: "", id: "x", f: { n: "n" } })
  }\n{}`,
  "a message whose sender is a string": `${header({ k: "message", r: "", id: "x", f: "y" })}\n{}`,
  "a broadcast without a text": header({ k: "broadcast", n: "n" }),
  "a broadcast without a node": `${header({ k: "broadcast" })}\n{}`,
  "an epoch that is a string": header({ k: "replaced", r: "", id: "x", c: "7" }),
  "an epoch that is a fraction": header({ k: "replaced", r: "", id: "x", c: 7.5 }),
  "an epoch below zero": header({ k: "replaced", r: "", id: "x", c: -7 }),
  "a fetched message without an ID": header({ k: "fetched" }),
  "a returned message without bytes": header({
    k: "returned",
    m: "",
    r: "",
    id: "x",
    f: "y",
    t: 1,
  }),
  "a returned message without a time": header({
    k: "returned",
    m: "",
    r: "",
    id: "x",
    f: "y",
    b: 1,
  }),
  "an answer to nothing": header({ k: "answer", s: "ok" }),
  "an answer with another status": header({ k: "answer", q: 1, s: "okay" }),
  "an answer with an empty ID among the members": header({ k: "answer", q: 1, s: "ok", e: [""] }),
  "an answer with members that are an object": header({ k: "answer", q: 1, s: "ok", e: {} }),
  "an answer with mail that is not text": header({ k: "answer", q: 1, s: "ok", w: [1] }),
};

for (const [what, text] of Object.entries(WRONG)) {
  testPure(`readMessage() ignores ${what}`, () => assert.equal(readMessage(text), null));
}

/** Checks that a message has the members of its type. */
function assertValid(message: BusMessage): void {
  if ("room" in message && message.room !== "") {
    assert.ok(isClientId(message.room.replace("\u0001", "")));
  }
  if ("id" in message) assert.ok(isClientId(message.id));
  if ("targetId" in message) assert.ok(isClientId(message.targetId));
  if ("senderId" in message) assert.ok(isClientId(message.senderId));
  if ("text" in message) assert.equal(typeof message.text, "string");
  if ("epoch" in message) assert.ok(Number.isSafeInteger(message.epoch));
  if (message.kind === "message" && message.sender !== null) {
    assert.ok(isClientId(message.sender.id));
    assert.equal(typeof message.sender.node, "string");
  }
}

testPure("readMessage() never throws, and never returns a malformed message", () => {
  const kinds = ["message", "broadcast", "replaced", "returned", "fetched", "answer", "join"];
  const value = fc.oneof(fc.jsonValue(), id, fc.nat());
  const anyHeader = fc.record({
    v: fc.constant(VERSION),
    k: fc.constantFrom(...kinds),
    ...Object.fromEntries([..."ridcmnqstefbw"].map((name) => [name, value])),
  }, { requiredKeys: ["v", "k"] });
  const anyText = fc.oneof(
    fc.string({ unit: "binary" }),
    jsonText,
    fc.tuple(anyHeader, jsonText).map(([header, text]) => `${JSON.stringify(header)}\n${text}`),
    mutated(written.map(writeMessage)),
    mutated(fc.constantFrom(...FROM_SCRIPTS.map(([text]) => text))),
  );
  fc.assert(
    fc.property(anyText, (text) => {
      const message = readMessage(text);
      if (message !== null) assertValid(message);
    }),
    { numRuns: 5000 },
  );
});
