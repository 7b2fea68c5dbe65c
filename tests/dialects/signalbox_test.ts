/** The core protocol: commands read from messages, and notices written as JSON. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { signalbox } from "../../lib/dialects/signalbox.ts";
import type { Notice } from "../../lib/relay/vocabulary.ts";
import { testPure } from "../helpers/pure.ts";

testPure("decode() reads the first register and a later one", () => {
  const text = '{"type":"register","client_id":"alice","target_id":"bob"}';
  for (const sender of [null, signalbox.sender("alice")]) {
    const command = signalbox.decode(text, sender);
    assert(command.kind === "register");
    assert.equal(command.registration.clientId, "alice");
  }
  const later = () => signalbox.decode('{"type":"register"}', signalbox.sender("alice"));
  assert.throws(later, { code: "already_registered" });
});

testPure("decode() reads a message as a send or a broadcast", () => {
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

testPure("encode() writes two members for registered, and others only if they have a value", () => {
  assert.equal(signalbox.encode(REGISTERED, "a"), '{"type":"registered","client_id":"a"}');
  assert.equal(
    signalbox.encode({ ...REGISTERED, room: "b", peers: [], secret: "s", iceServers: [] }, "a"),
    '{"type":"registered","client_id":"a","room":"b","peers":[],"resume":"s","resumed":false,' +
      '"ice_servers":[]}',
  );
});

testPure("encode() writes each notice as in the protocol", () => {
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
  for (const [notice, text] of notices) assert.equal(signalbox.encode(notice, "a"), text);
});

testPure("encode() writes JSON without from for any notice", () => {
  const text = fc.string({ unit: "binary" });
  fc.assert(
    fc.property(text, text, (id, message) => {
      const read = (notice: Notice) => JSON.parse(signalbox.encode(notice, "a")!);
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
