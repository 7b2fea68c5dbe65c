/** libdatachannel's example protocol, character by character, over fake sockets. */

import assert from "node:assert/strict";
import { libdatachannel } from "../../lib/dialects/libdatachannel.ts";
import { trystero, yWebrtc } from "../../lib/dialects/topics.ts";
import { testPure } from "../helpers/pure.ts";
import { type FakePeer, Switchboard, type SwitchboardOptions } from "../helpers/switchboard.ts";

function setUp(options: SwitchboardOptions = {}) {
  const dialects = [trystero, yWebrtc, libdatachannel];
  const board = new Switchboard({ mailboxTtlMs: 10_000, ...options }, null, dialects);
  function open(path: string): FakePeer {
    const peer = board.connect(`http://host${path}`);
    peer.connection.opened();
    return peer;
  }
  return { board, open };
}

testPure("a client registers its path's ID at once, and gets messages with the sender's id", () => {
  const { open } = setUp();
  const [alice, bob] = [open("/alice?x=1"), open("/b%C3%B6b")];
  alice.send('{"type":"offer", "id":"böb" ,"description":"v=0\\u000d"}', '{"id":"böb"}');
  assert.deepEqual(bob.texts(), [
    '{"type":"offer", "id":"alice" ,"description":"v=0\\u000d"}',
    '{"id":"alice"}',
  ]);
  assert.deepEqual(alice.texts(), []);
});

testPure("a message without a destination is ignored", () => {
  const { open } = setUp();
  const alice = open("/alice");
  alice.send("nonsense", "{}", '{"id":""}', '{"id":5}', '{"id":["alice"]}');
  assert.deepEqual([alice.texts(), alice.closed], [[], null]);
});

testPure("a message is stored for its destination, and expires without a notice", () => {
  const { board, open } = setUp();
  const alice = open("/alice");
  alice.send('{"id":"constructor","n":1}');
  assert.deepEqual(open("/constructor").texts(), ['{"id":"alice","n":1}']);
  alice.send('{"id":"bob"}');
  board.clock.advance(60_000);
  assert.deepEqual([alice.texts(), open("/bob").texts()], [[], []]);
});

testPure("the newer connection takes the ID; with reject the older one keeps it", () => {
  const { open } = setUp();
  const older = open("/alice");
  open("/alice");
  assert.deepEqual([older.texts(), older.closed], [[], "4409 replaced"]);
  const rejecting = setUp({ onDuplicate: "reject" });
  const first = rejecting.open("/alice");
  const second = rejecting.open("/alice");
  second.send('{"id":"alice"}');
  assert.deepEqual([first.closed, second.closed], [null, "4409 id_taken"]);
});

testPure("a client whose ID is refused is closed at the register timeout", () => {
  const { open } = setUp({ onDuplicate: "reject" });
  open("/alice");
  const second = open("/alice");
  assert.equal(second.closed, null);
  second.connection.rejectUnregistered();
  assert.deepEqual([second.texts(), second.closed], [[], "4409 id_taken"]);
});

testPure("invalid UTF-8 does not change a client's dialect", () => {
  const { open } = setUp();
  const alice = open("/alice");
  alice.send(Uint8Array.of(0xff).buffer, '{"id":"alice"}');
  assert.deepEqual([alice.texts(), alice.closed], [['{"id":"alice"}'], null]);
});

for (const path of ["/", "/a/b", "/%00", `/${"x".repeat(129)}`, "/%ff"]) {
  testPure(`${path.slice(0, 9)} is not an ID`, () => {
    const { board, open } = setUp();
    open(path);
    assert.equal(board.router.connected, 0);
  });
}

testPure("the first message of another dialect releases the ID", async () => {
  const { board, open } = setUp();
  const core = open("/alice");
  core.send({ type: "register", client_id: "carol" });
  assert.deepEqual(core.texts(), ['{"type":"registered","client_id":"carol"}']);
  const y = open("/alice");
  y.send('{"type":"ping"}');
  for (let n = 0; n < 20; n++) await Promise.resolve();
  assert.deepEqual(y.texts(), ['{"type":"pong"}']);
  const alice = open("/alice");
  alice.send('{"type":"register","id":"alice"}', '{"type":"register","client_id":"carol"}');
  assert.deepEqual(alice.texts(), ['{"type":"register","id":"alice"}']);
  assert.equal(board.router.connected, 3);
});
