/** Our own protocol: what a registration may say, and what the server's notices look like on the wire. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { signalbox } from "../../lib/dialects/signalbox.ts";
import type { Notice } from "../../lib/relay/vocabulary.ts";
import { testPure } from "../helpers/pure.ts";

function readRegistration(members: Record<string, unknown>, sender: string | null = null) {
  const command = signalbox.decode(JSON.stringify({ type: "register", ...members }), sender);
  assert(command.kind === "register");
  return command.registration;
}

testPure("decode() reads a registration", () => {
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

testPure("decode() takes a room that is null or empty as the default room", () => {
  for (const room of [null, ""]) assert.equal(readRegistration({ client_id: "a", room }).room, "");
});

testPure("decode() takes presence and resume that are null or false as absent", () => {
  for (const value of [null, false]) {
    const { presence, resume } = readRegistration({
      client_id: "a",
      presence: value,
      resume: value,
    });
    assert.deepEqual([presence, resume], [false, false]);
  }
  assert.equal(readRegistration({ client_id: "a", presence: "batch" }).presence, "batch");
  assert.equal(readRegistration({ client_id: "a", resume: true }).resume, true);
});

testPure("decode() refuses presence and resume of any other type", () => {
  const sender = signalbox.sender("a");
  for (
    const members of [
      ...[0, 1, "true", "Batch", "", [], {}].map((presence) => ({ presence })),
      ...[0, 1, [], {}].map((resume) => ({ resume })),
    ]
  ) {
    const registration = { client_id: "a", ...members };
    assert.throws(() => readRegistration(registration), { code: "invalid_message" });
    assert.throws(() => readRegistration(registration, sender), { code: "already_registered" });
  }
});

testPure("decode() refuses a malformed ID or room, and quotes it", () => {
  for (
    const [members, quoted] of [
      [{}, "client_id"],
      [{ client_id: "" }, '""'],
      [{ client_id: 5 }, "5"],
      [{ client_id: null }, "null"],
      [{ client_id: ["a"] }, "an array"],
      [{ client_id: "a\n" }, '"a\\n"'],
      [{ client_id: "a", room: 5 }, "5"],
      [{ client_id: "a", room: "b\0" }, "room"],
      [{ client_id: "a", room: { b: 1 } }, "an object"],
    ] as const
  ) {
    assert.throws(
      () => readRegistration(members),
      (error: { code: string; message: string }) =>
        error.code === "invalid_client_id" && error.message.includes(quoted),
    );
  }
});

testPure("decode() makes a message a command: to one client, or a broadcast", () => {
  const sender = signalbox.sender("alice");
  const text = '{"type":"offer","target_id":"bob","n":1.0}';
  const sent = signalbox.decode(text, sender);
  assert(sent.kind === "send");
  assert.deepEqual([sent.targetId, sent.type, sent.bytes], ["bob", "offer", text.length]);
  assert.equal(sent.text, '{"type":"offer","from":"alice","n":1.0}');
  for (const target of [undefined, null, ""]) {
    const broadcast = signalbox.decode(JSON.stringify({ target_id: target, n: 1 }), sender);
    assert(broadcast.kind === "broadcast");
    assert.deepEqual([broadcast.text, broadcast.type], ['{"from":"alice","n":1}', undefined]);
  }
});

const REGISTERED = {
  kind: "registered",
  clientId: "a",
  room: "",
  peers: undefined,
  secret: undefined,
  resumed: false,
  iceServers: undefined,
} as const;

testPure("encode() gives registered two members, and more only if there is more to say", () => {
  assert.equal(signalbox.encode(REGISTERED), '{"type":"registered","client_id":"a"}');
  assert.equal(
    signalbox.encode({ ...REGISTERED, room: "b", peers: [], secret: "s", iceServers: [] }),
    '{"type":"registered","client_id":"a","room":"b","peers":[],"resume":"s","resumed":false,' +
      '"ice_servers":[]}',
  );
});

testPure("encode() writes each notice as the protocol shows it", () => {
  const notices: readonly (readonly [Notice, string])[] = [
    [
      {
        kind: "error",
        code: "target_not_found",
        message: 'No client "bob" is connected.',
        targetId: "bob",
      },
      '{"type":"error","code":"target_not_found","message":"No client \\"bob\\" is connected.",' +
      '"target_id":"bob"}',
    ],
    [
      { kind: "error", code: "id_held", message: "Held.", retryAfterMs: 250 },
      '{"type":"error","code":"id_held","message":"Held.","retry_after_ms":250}',
    ],
    [{ kind: "peer_joined", clientId: "x" }, '{"type":"peer_joined","client_id":"x"}'],
    [{ kind: "peer_left", clientId: "x" }, '{"type":"peer_left","client_id":"x"}'],
    [
      { kind: "peers_changed", left: ["a"], joined: ["b", "c"] },
      '{"type":"peers_changed","left":["a"],"joined":["b","c"]}',
    ],
    [
      { kind: "peers_changed", left: [], joined: [] },
      '{"type":"peers_changed","left":[],"joined":[]}',
    ],
  ];
  for (const [notice, text] of notices) assert.equal(signalbox.encode(notice), text);
});

testPure("encode() writes JSON without from, whatever is in a notice", () => {
  const text = fc.string({ unit: "binary" });
  fc.assert(
    fc.property(text, text, (id, message) => {
      const read = (notice: Notice) => JSON.parse(signalbox.encode(notice)!);
      assert.deepEqual(read({ kind: "peer_left", clientId: id }), {
        type: "peer_left",
        client_id: id,
      });
      assert.deepEqual(read({ kind: "error", code: "rate_limited", message, targetId: id }), {
        type: "error",
        code: "rate_limited",
        message,
        target_id: id,
      });
      assert.deepEqual(read({ kind: "peers_changed", left: [id], joined: [message] }), {
        type: "peers_changed",
        left: [id],
        joined: [message],
      });
    }),
  );
});
