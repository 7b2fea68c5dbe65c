/** The words of the wire are those of the protocol. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  CLOSE_CODES,
  type CloseReason,
  describe,
  errorFrame,
  isClientId,
  isFinal,
  isGoodbye,
  peerFrame,
  readRegistration,
  registeredFrame,
  targetNotFound,
} from "../../lib/relay/vocabulary.ts";
import { testPure } from "../helpers/pure.ts";

testPure("isClientId() takes 1 to 128 code points", () => {
  for (const character of ["a", "é", "€", "😀", "\u200b", " "]) {
    assert(isClientId(character));
    assert(isClientId(character.repeat(128)));
    assert(!isClientId(character.repeat(129)));
  }
  assert(isClientId("😀".repeat(100) + "a".repeat(28)));
  assert(!isClientId("😀".repeat(100) + "a".repeat(29)));
  assert(!isClientId(""));
});

testPure(
  "isClientId() takes no control characters, neither C0 nor DEL nor C1, and their neighbours",
  () => {
    for (let code = 0; code <= 0xff; code++) {
      const isControl = code < 0x20 || (code >= 0x7f && code <= 0x9f);
      const id = `a${String.fromCharCode(code)}b`;
      assert.equal(isClientId(id), !isControl, `U+${code.toString(16)}`);
    }
  },
);

testPure("isClientId() takes no lone surrogates", () => {
  for (
    const id of ["\ud800", "\udfff", "a\ud83d", "\ude00b", "\ude00\ud83d", "\ud83d\ud83d\ude00"]
  ) {
    assert(!isClientId(id));
  }
});

testPure("isClientId() takes nothing but strings", () => {
  for (const value of [undefined, null, 5, true, ["a"], { length: 1 }, new String("a")]) {
    assert(!isClientId(value));
  }
});

testPure("isClientId() decides as the protocol says, on any string", () => {
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

testPure("readRegistration() reads what a client asks for", () => {
  assert.deepEqual(readRegistration({ client_id: "alice" }), {
    clientId: "alice",
    room: "",
    presence: false,
    resume: false,
    token: undefined,
  });
  assert.deepEqual(
    readRegistration({
      client_id: "alice",
      room: "lobby",
      presence: true,
      resume: "secret",
      token: "a.b.c",
      more: 1,
    }),
    { clientId: "alice", room: "lobby", presence: true, resume: "secret", token: "a.b.c" },
  );
});

testPure("readRegistration() takes a room that is null as the default room", () => {
  assert.equal(readRegistration({ client_id: "alice", room: null }).room, "");
});

testPure("readRegistration() takes what is neither true nor a secret as not asked for", () => {
  for (const value of [false, null, 0, 1, "true", [], {}]) {
    assert.equal(readRegistration({ client_id: "a", presence: value }).presence, false);
  }
  for (const value of [false, null, 0, 1, [], {}]) {
    assert.equal(readRegistration({ client_id: "a", resume: value }).resume, false);
  }
  assert.equal(readRegistration({ client_id: "a", resume: true }).resume, true);
});

testPure("readRegistration() refuses a malformed ID or room, and says which", () => {
  const wanted = "must be a string of 1 to 128 characters without control characters, not";
  for (
    const [members, message] of [
      [{}, `client_id ${wanted} nothing.`],
      [{ client_id: "" }, `client_id ${wanted} "".`],
      [{ client_id: 5 }, `client_id ${wanted} 5.`],
      [{ client_id: null }, `client_id ${wanted} null.`],
      [{ client_id: ["a"] }, `client_id ${wanted} an array.`],
      [{ client_id: "a\n" }, `client_id ${wanted} "a\\n".`],
      [{ client_id: "a", room: "" }, `room ${wanted} "".`],
      [{ client_id: "a", room: false }, `room ${wanted} false.`],
      [{ client_id: "a", room: { b: 1 } }, `room ${wanted} an object.`],
    ] as const
  ) {
    assert.throws(() => readRegistration(members), { code: "invalid_client_id", message });
  }
});

testPure("registeredFrame() has two members, and more only where there is more to say", () => {
  assert.equal(registeredFrame({ client_id: "a" }), '{"type":"registered","client_id":"a"}');
  const none = { room: undefined, peers: undefined, resume: undefined, ice_servers: undefined };
  assert.equal(
    registeredFrame({ client_id: "a", ...none, resumed: undefined }),
    '{"type":"registered","client_id":"a"}',
  );
  assert.equal(
    registeredFrame({ client_id: "a", room: "b", peers: [], resume: "s", resumed: false }),
    '{"type":"registered","client_id":"a","room":"b","peers":[],"resume":"s","resumed":false}',
  );
});

testPure("frames of the server never carry from, and are JSON whatever is in them", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (id, message) => {
      assert.deepEqual(JSON.parse(peerFrame("peer_left", id)), {
        type: "peer_left",
        client_id: id,
      });
      assert.deepEqual(JSON.parse(errorFrame("rate_limited", message)), {
        type: "error",
        code: "rate_limited",
        message,
      });
      assert.deepEqual(JSON.parse(errorFrame("target_not_found", message, id)), {
        type: "error",
        code: "target_not_found",
        message,
        target_id: id,
      });
    }),
  );
});

testPure("errorFrame() is as the protocol shows it", () => {
  assert.equal(
    errorFrame("target_not_found", targetNotFound("bob"), "bob"),
    '{"type":"error","code":"target_not_found","message":"No client \\"bob\\" is connected.",' +
      '"target_id":"bob"}',
  );
});

/** As section 2 of the protocol lists them; and whether a resume finds the ID held after it (section 6). */
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
  replaced: [4409, true],
  message_too_large: [1009, false],
  unsupported_data: [1003, false],
  shutting_down: [1012, true],
  overloaded: [1013, true],
  internal_error: [1011, true],
};

testPure("every reason closes with the code of the protocol, and fits into a close frame", () => {
  assert.deepEqual(Object.keys(CLOSE_CODES), Object.keys(REASONS));
  for (const [key, [code, held]] of Object.entries(REASONS)) {
    const reason = key as CloseReason;
    assert.equal(CLOSE_CODES[reason], code, reason);
    assert.equal(isFinal(reason), !held, reason);
    assert(reason.length <= 123); // RFC 6455 section 5.5
  }
});

testPure("isGoodbye() holds for a close with 1000 or without a code, and for no other end", () => {
  for (const code of [1000, 1005]) assert(isGoodbye(code));
  for (const code of [0, 1001, 1002, 1003, 1006, 1008, 1011, 3000, 4000]) assert(!isGoodbye(code));
});

testPure("describe() quotes a value in short", () => {
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
