/** A `register` is read as the protocol says, and errors name the cause. */

import assert from "node:assert/strict";
import { MAX_REGISTER_BYTES, readRegistration } from "../../lib/dialects/register.ts";
import { describe } from "../../lib/relay/vocabulary.ts";
import { testPure } from "../helpers/pure.ts";

const ALICE = { type: "register", client_id: "alice" };

function read(members: Readonly<Record<string, unknown>>, isFirst = true) {
  return readRegistration(JSON.stringify(members), isFirst);
}

testPure("readRegistration() reads all members", () => {
  assert.deepEqual(read(ALICE), {
    clientId: "alice",
    room: "",
    presence: false,
    resume: false,
    token: undefined,
  });
  const all = { room: "lobby", presence: true, resume: "secret", token: "a.b.c" };
  assert.deepEqual(read({ ...ALICE, ...all, more: { client_id: 1 } }), {
    clientId: "alice",
    ...all,
  });
});

testPure("readRegistration() reads the last of several members, escaped or not", () => {
  const text = '{"type":"x","client_id":5,"token":"é","t\\u0079pe":"register",' +
    '"\\u0063lient_id":"b\\u006fb","token":"日"}';
  const { clientId, token } = readRegistration(text, true);
  assert.deepEqual({ clientId, token }, { clientId: "bob", token: "日" });
});

testPure("readRegistration() reads a room that is null or empty as the default room", () => {
  for (const room of [undefined, null, ""]) assert.equal(read({ ...ALICE, room }).room, "");
});

testPure("readRegistration() accepts every presence and resume of the protocol", () => {
  for (const value of [true, false, "batch"] as const) {
    assert.equal(read({ ...ALICE, presence: value }).presence, value);
  }
  for (const value of [true, false, "secret", "true"]) {
    assert.equal(read({ ...ALICE, resume: value }).resume, value);
  }
  const { presence, resume } = read({ ...ALICE, presence: null, resume: null });
  assert.deepEqual([presence, resume], [false, false]);
});

const FORM = "must be a string of 1 to 128 characters without control characters, not";

const REFUSED: readonly (readonly [members: string, code: string, message: string])[] = [
  [
    '"client_id":""',
    "invalid_client_id",
    `client_id ${FORM} "".`,
  ],
  ['"client_id":null', "invalid_client_id", `client_id ${FORM} null.`],
  ['"client_id":["a"]', "invalid_client_id", `client_id ${FORM} an array.`],
  ['"client_id":"a\\u0000"', "invalid_client_id", `client_id ${FORM} "a\\u0000".`],
  ['"a":1', "invalid_client_id", 'client_id is missing: send {"type":"register","client_id":"…"}.'],
  [
    '"clientId":"a"',
    "invalid_client_id",
    'client_id is missing: rename "clientId" to "client_id".',
  ],
  ['"id":"a"', "invalid_client_id", 'client_id is missing: rename "id" to "client_id".'],
  ['"client_id":"a","room":false', "invalid_client_id", `room ${FORM} false.`],
  ['"client_id":"a","room":{"b":1}', "invalid_client_id", `room ${FORM} an object.`],
  [
    '"client_id":"a","presence":"true"',
    "invalid_message",
    'presence must be true, false or "batch", not "true".',
  ],
  [
    '"client_id":"a","presence":0',
    "invalid_message",
    'presence must be true, false or "batch", not 0.',
  ],
  [
    '"client_id":"a","resume":1',
    "invalid_message",
    "resume must be true, false or the resume secret, not 1.",
  ],
  [
    '"client_id":"a","target_id":17',
    "invalid_message",
    "target_id must be the ID of a client or null, not 17.",
  ],
];

for (const [members, code, message] of REFUSED) {
  testPure(`readRegistration() refuses ${members} with the cause`, () => {
    const text = `{"type":"register",${members}}`;
    assert.throws(() => readRegistration(text, true), { code, message });
    assert.throws(() => readRegistration(text, false), { code: "already_registered", message });
  });
}

testPure("readRegistration() refuses presence and resume of other types", () => {
  const presences = [0, 1, "Batch", "", [], {}].map((presence) => ({ presence }));
  const resumes = [0, 1, [], {}].map((resume) => ({ resume }));
  for (const members of [...presences, ...resumes]) {
    assert.throws(() => read({ ...ALICE, ...members }), { code: "invalid_message" });
    assert.throws(() => read({ ...ALICE, ...members }, false), { code: "already_registered" });
  }
});

testPure("readRegistration() refuses a first message that is not a register", () => {
  for (
    const [members, type] of [
      [{ client_id: "a" }, "missing"],
      [{ type: "offer", sdp: "x".repeat(MAX_REGISTER_BYTES) }, '"offer"'],
      [{ type: ["register"] }, "an array"],
    ] as const
  ) {
    assert.throws(() => read(members), {
      code: "not_registered",
      message:
        `The first message must be {"type":"register","client_id":"…"}. Its type is ${type}.`,
    });
  }
  assert.throws(() => readRegistration('{"type":"register"', true), { code: "invalid_message" });
});

testPure("readRegistration() refuses a first register over 16 KiB, and no later one", () => {
  const length = JSON.stringify({ ...ALICE, more: "" }).length;
  const allowed = { ...ALICE, more: "x".repeat(MAX_REGISTER_BYTES - length) };
  assert.equal(read(allowed).clientId, "alice");
  const tooLarge = { ...ALICE, more: `${allowed.more.slice(1)}é` };
  assert.throws(() => read(tooLarge), {
    code: "message_too_large",
    message: "The first register has 16385 bytes, over the limit of 16384.",
  });
  assert.equal(read(tooLarge, false).clientId, "alice");
});

testPure("readRegistration() passes on a token that is not a string", () => {
  const { token } = read({ ...ALICE, token: [1] });
  assert.equal(describe(token), "an array");
});

/** Prints the memory that a registration from a message of 16 KiB takes, in bytes. */
const MEASURE = `
  import { readRegistration } from "${import.meta.resolve("../../lib/dialects/register.ts")}";
  const COUNT = 1000;
  const more = "x".repeat(16_000);
  const used = () => (gc(), Deno.memoryUsage().heapUsed);
  const read = (n) => readRegistration(JSON.stringify(
    { type: "register", client_id: "a client's long ID " + n, room: "a room's long name", more },
  ), true);
  read(0);
  const before = used();
  const all = Array.from({ length: COUNT }, (_, n) => read(n));
  console.log((used() - before) / all.length);
`;

Deno.test("a registration does not keep its message in memory", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", "--v8-flags=--expose-gc", MEASURE],
  }).output();
  const bytes = Number(new TextDecoder().decode(stdout));
  assert.ok(bytes > 0 && bytes < 1000, `${bytes} bytes`);
});
