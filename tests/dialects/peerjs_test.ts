/** PeerJS' protocol, character by character, over fake sockets. */

import assert from "node:assert/strict";
import { peerjs } from "../../lib/dialects/peerjs.ts";
import { testPure } from "../helpers/pure.ts";
import {
  type FakePeer,
  FakeSocket,
  Switchboard,
  type SwitchboardOptions,
} from "../helpers/switchboard.ts";

const DIALECT = peerjs({ peerjsKey: "peerjs", peerjsDiscovery: true }, false);
const OPEN = '{"type":"OPEN"}';

function setUp(options: SwitchboardOptions = {}) {
  const board = new Switchboard({ mailboxTtlMs: 10_000, ...options }, null, [DIALECT]);
  function open(query: string, path = "/peerjs"): FakePeer {
    const peer = board.connect(`http://host${path}?${query}`);
    peer.connection.opened();
    return peer;
  }
  /** Connects a peer and reads its OPEN. */
  function join(id: string, token = "t"): FakePeer {
    const peer = open(`key=peerjs&id=${id}&token=${token}&version=1.5.5`);
    assert.deepEqual(peer.texts(), [OPEN]);
    return peer;
  }
  return { board, open, join };
}

testPure("a peer gets OPEN on any path that ends in /peerjs, in any order of its query", () => {
  const { open } = setUp();
  assert.deepEqual(open("token=t&id=a%20b&key=peerjs", "/my/app/peerjs").texts(), [OPEN]);
});

for (
  const [what, query, message] of [
    ["no key", "id=a&token=t", "No id, token, or key supplied to websocket server"],
    ["no token", "id=a&key=peerjs", "No id, token, or key supplied to websocket server"],
    ["an empty id", "id=&token=t&key=peerjs", "No id, token, or key supplied to websocket server"],
    ["a wrong key", "id=a&token=t&key=other", "Invalid key provided"],
    [
      "an id with a control character",
      "id=a%0a&token=t&key=peerjs",
      "The id must have 1 to 128 characters and no control characters.",
    ],
  ] as const
) {
  testPure(`a peer with ${what} gets ERROR and 1008`, () => {
    const peer = setUp().open(query);
    assert.deepEqual(peer.messages(), [{ type: "ERROR", payload: { msg: message } }]);
    assert.match(peer.closed ?? "", /^1008 /);
  });
}

for (const query of ["key", "token=t&id", "id&token=t", "%E2%98%83&key="]) {
  testPure(`a query of ${query} is PeerJS'`, () => {
    assert.equal(setUp().open(query).messages()[0]?.type, "ERROR");
  });
}

testPure("/peerjs without key and id is the core protocol", () => {
  const { open } = setUp();
  const core = open("token=t");
  core.send({ type: "register", client_id: "a" });
  assert.deepEqual(core.texts(), ['{"type":"registered","client_id":"a"}']);
});

testPure("a message is sent to dst with src, its payload unchanged, and no other member", () => {
  const { join } = setUp();
  const [alice, bob] = [join("alice"), join("bob")];
  alice.send(
    '{"src":"eve","payload": {"n":1e400, "s":"\\u00e9"} ,"x":1,"dst":"bob","type":"OFFER"}',
  );
  alice.send('{"type":"LEAVE","dst":"bob"}', '{"type":"ANSWER","dst":"alice","payload":null}');
  assert.deepEqual(bob.texts(), [
    '{"type":"OFFER","src":"alice","dst":"bob","payload":{"n":1e400, "s":"\\u00e9"}}',
    '{"type":"LEAVE","src":"alice","dst":"bob"}',
  ]);
  assert.deepEqual(alice.texts(), ['{"type":"ANSWER","src":"alice","dst":"alice","payload":null}']);
});

testPure("messages of other types are ignored, and the connection stays open", () => {
  const { join } = setUp();
  const alice = join("alice");
  const bob = join("bob");
  for (
    const text of [
      "nonsense",
      "[]",
      '{"type":"HEARTBEAT"}',
      '{"type":"OPEN","dst":"bob"}',
      '{"type":"EXPIRE","dst":"bob"}',
      '{"type":"offer","dst":"bob"}',
      '{"type":"OFFER"}',
      '{"type":"OFFER","dst":""}',
      '{"type":"OFFER","dst":["bob"]}',
    ]
  ) alice.send(text);
  assert.deepEqual([alice.texts(), bob.texts(), alice.closed], [[], [], null]);
});

testPure("an ID is refused to another token, and moves to a connection with the same one", () => {
  const { join, open } = setUp();
  const older = join("alice", "secret");
  const other = open("key=peerjs&id=alice&token=other");
  assert.deepEqual(other.texts(), ['{"type":"ID-TAKEN","payload":{"msg":"ID is taken"}}']);
  assert.equal(other.closed, "4409 id_taken");
  const newer = join("alice", "secret");
  assert.deepEqual([older.texts(), older.closed], [[], "4409 replaced"]);
  older.connection.ended(4409);
  newer.send('{"type":"OFFER","dst":"alice"}');
  assert.equal(newer.texts().length, 1);
});

testPure("an ID is free the moment the connection ends", () => {
  const { join } = setUp({ resumeTtlMs: 30_000 });
  join("alice", "secret").connection.ended(1006);
  join("alice", "other");
});

testPure("messages are stored for 5 s, and arrive after the target's OPEN", () => {
  const { board, join, open } = setUp();
  const alice = join("alice");
  alice.send('{"type":"OFFER","dst":"bob"}', '{"type":"CANDIDATE","dst":"bob"}');
  board.clock.advance(4999);
  const bob = open("key=peerjs&id=bob&token=t");
  assert.deepEqual(bob.messages().map(({ type }) => type), ["OPEN", "OFFER", "CANDIDATE"]);
  board.clock.advance(60_000);
  assert.deepEqual(alice.texts(), []);
});

testPure("all messages of a sender for a target expire with one EXPIRE", () => {
  const { board, join, open } = setUp();
  const [alice, carol] = [join("alice"), join("carol")];
  alice.send('{"type":"OFFER","dst":"bob"}');
  board.clock.advance(3000);
  alice.send('{"type":"CANDIDATE","dst":"bob"}', '{"type":"LEAVE","dst":"bob"}');
  carol.send('{"type":"OFFER","dst":"bob"}');
  board.clock.advance(2000);
  assert.deepEqual(alice.texts(), ['{"type":"EXPIRE","src":"bob","dst":"alice"}']);
  const bob = open("key=peerjs&id=bob&token=t");
  assert.deepEqual(bob.messages().map(({ src }) => src), [undefined, "carol"]);
  board.clock.advance(60_000);
  assert.deepEqual([alice.texts(), carol.texts()], [[], []]);
});

testPure("EXPIRE is sent at once if the mailbox is off or full", () => {
  const expire = '{"type":"EXPIRE","src":"bob","dst":"alice"}';
  const off = setUp({ mailboxTtlMs: 0 }).join("alice");
  off.send('{"type":"OFFER","dst":"bob"}');
  assert.deepEqual(off.texts(), [expire]);
  const { board, join } = setUp();
  const alice = join("alice");
  for (let n = 0; n < 65; n++) alice.send(`{"type":"CANDIDATE","dst":"bob","payload":${n}}`);
  assert.deepEqual(alice.texts(), [expire]);
  board.clock.advance(60_000);
  assert.deepEqual(alice.texts(), []);
});

testPure("each sender gets one EXPIRE if the peer refuses its stored messages", () => {
  const { board, join } = setUp({ maxBufferedBytes: 1 });
  const [alice, carol] = [join("alice"), join("carol")];
  for (const sender of [alice, carol, alice]) sender.send('{"type":"OFFER","dst":"bob"}');
  const socket = new FakeSocket();
  socket.bufferedAmount = 100_000;
  const bob = board.attach(socket, "http://host/peerjs?key=peerjs&id=bob&token=t");
  bob.connection.opened();
  assert.equal(bob.closed, "1013 overloaded");
  for (const [sender, id] of [[alice, "alice"], [carol, "carol"]] as const) {
    assert.deepEqual(sender.texts(), [`{"type":"EXPIRE","src":"bob","dst":"${id}"}`]);
  }
});

testPure("nothing crosses between PeerJS' peers and clients of the core", () => {
  const { board, join } = setUp({ mailboxTtlMs: 0 });
  const core = board.register("alice", { presence: true });
  const [alice, bob] = [join("alice"), join("bob")];
  alice.send('{"type":"OFFER","dst":"bob"}');
  core.send({ target_id: "bob" }, { to: "all" });
  assert.equal(bob.texts().length, 1);
  assert.deepEqual(core.messages().map(({ code }) => code), ["target_not_found"]);
  assert.deepEqual([alice.texts(), alice.closed], [[], null]);
});

testPure("a message that is too large gets ERROR and 1009", () => {
  const { join } = setUp({ maxMessageSizeBytes: 100 });
  const alice = join("alice");
  alice.send(`{"type":"OFFER","dst":"bob","payload":"${"x".repeat(100)}"}`);
  assert.equal(alice.messages()[0]?.type, "ERROR");
  assert.equal(alice.closed, "1009 message_too_large");
});

testPure("messages over the rate limit are dropped without a notice", () => {
  const { join } = setUp({ rateLimitPerSecond: 1, rateBurst: 2 });
  const [alice, bob] = [join("alice"), join("bob")];
  for (let n = 0; n < 5; n++) alice.send(`{"type":"CANDIDATE","dst":"bob","payload":${n}}`);
  assert.deepEqual(bob.messages().map(({ payload }) => payload), [0, 1]);
  assert.deepEqual([alice.texts(), alice.closed], [[], null]);
});

testPure("HTTP requests get a fresh ID, and the list of all IDs if that is allowed", async () => {
  const listIds = () => Promise.resolve(["alice", "bob"]);
  const answer = (path: string, dialect = DIALECT) => dialect.answerHttp!(path, listIds);
  assert.match((await answer("/a/peerjs/id"))?.body ?? "", /^[0-9a-f-]{36}$/);
  assert.equal((await answer("/peerjs/peers"))?.body, '["alice","bob"]');
  assert.equal(await answer("/other/id"), null);
  const off = peerjs({ peerjsKey: "peerjs", peerjsDiscovery: undefined }, false);
  assert.equal((await answer("/peerjs/peers", off))?.status, 401);
});

testPure("the five hundredth message over the rate limit in a row is the last", () => {
  const { join } = setUp({ rateLimitPerSecond: 1, rateBurst: 1 });
  const alice = join("alice");
  for (let n = 0; n < 500; n++) alice.send('{"type":"HEARTBEAT"}');
  assert.deepEqual([alice.texts(), alice.closed], [[], null]);
  alice.send('{"type":"HEARTBEAT"}');
  assert.deepEqual([alice.texts(), alice.closed], [[], "1008 rate_limited"]);
});
