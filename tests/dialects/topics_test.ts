/** The protocols of y-webrtc and Trystero, character by character, over fake sockets. */

import assert from "node:assert/strict";
import { trystero, yWebrtc } from "../../lib/dialects/topics.ts";
import { TokenError } from "../../lib/auth/tokens.ts";
import { testPure } from "../helpers/pure.ts";
import { type FakePeer, Switchboard, type SwitchboardOptions } from "../helpers/switchboard.ts";

function setUp(options: SwitchboardOptions = {}) {
  return new Switchboard(options, null, [trystero, yWebrtc]);
}

/** Sends the first message, which registers, and then the others. */
function start(board: Switchboard, ...messages: string[]): Promise<FakePeer> {
  return startAt("http://host/", board, ...messages);
}

async function startAt(url: string, board: Switchboard, ...messages: string[]): Promise<FakePeer> {
  const peer = board.connect(url);
  peer.send(...messages);
  await drainMicrotasks();
  return peer;
}

async function drainMicrotasks(): Promise<void> {
  for (let n = 0; n < 20; n++) await Promise.resolve();
}

const subscribe = (...topics: unknown[]) => JSON.stringify({ type: "subscribe", topics });

testPure("y-webrtc: a publish goes to all subscribers and its sender, with clients", async () => {
  const board = setUp();
  const one = await start(board, subscribe("room"));
  const two = await start(board, subscribe(), subscribe("room", "room"));
  one.send('{ "data":{"n":1e400}, "type":"publish","topic":"room" }');
  const text = '{ "data":{"n":1e400}, "type":"publish","topic":"room" ,"clients":2}';
  assert.deepEqual([one.texts(), two.texts()], [[text], [text]]);
  two.send('{"clients":99,"type":"publish","topic":"room","clients":"x"}');
  assert.deepEqual(one.texts(), ['{"clients":2,"type":"publish","topic":"room"}']);
});

testPure("y-webrtc: a ping is answered, also as the first message", async () => {
  const peer = await start(setUp(), '{"type":"ping"}', '{"type":"ping"}');
  assert.deepEqual(peer.texts(), ['{"type":"pong"}', '{"type":"pong"}']);
});

testPure("y-webrtc: unsubscribe ends a subscription, and publishers need none", async () => {
  const board = setUp();
  const one = await start(board, subscribe("a", 5, { b: ["c"] }, ["d"], 'é"\\', ""));
  const two = await start(board, '{"type":"publish","topic":"a"}');
  two.send('{"type":"publish","topic":"c"}', '{"type":"publish","topic":"d"}');
  two.send(JSON.stringify({ type: "publish", topic: 'é"\\' }));
  assert.deepEqual(one.messages().map(({ topic }) => topic), ["a", 'é"\\']);
  one.send('{"type":"unsubscribe","topics":["a","z"]}');
  two.send('{"type":"publish","topic":"a"}');
  assert.deepEqual([one.texts(), two.texts()], [[], []]);
});

testPure("y-webrtc: messages of unknown types are ignored", async () => {
  const peer = await start(setUp(), subscribe("a"));
  peer.send(
    "nonsense",
    "[]",
    '{"type":"offer"}',
    '{"type":"publish"}',
    '{"type":"publish","topic":7}',
  );
  peer.send('{"type":"subscribe","topics":"a"}', '{"type":"register","client_id":"x"}');
  assert.deepEqual([peer.texts(), peer.closed], [[], null]);
});

testPure("Trystero: subscribers get topic and payload alone", async () => {
  const board = setUp();
  const one = await start(board, '{"type":"subscribe","topic":"t"}');
  const two = await start(board, '{"type":"publish","topic":"t","payload": [1.0] ,"x":1}');
  assert.deepEqual([one.texts(), two.texts()], [['{"topic":"t","payload":[1.0]}'], []]);
  two.send('{"type":"publish","topic":"t","payload":null}', '{"type":"publish","topic":"t"}');
  assert.deepEqual(one.texts(), ['{"topic":"t","payload":null}']);
  one.send('{"type":"unsubscribe","topic":"t"}');
  two.send('{"type":"publish","topic":"t","payload":1}');
  assert.deepEqual(one.texts(), []);
});

testPure("nothing crosses between y-webrtc, Trystero and the core", async () => {
  const board = setUp();
  const y = await start(board, subscribe("__proto__"));
  const t = await start(board, '{"type":"subscribe","topic":"__proto__"}');
  const core = board.register("core", { presence: true });
  t.send('{"type":"publish","topic":"__proto__","payload":1}');
  core.send({ topic: "__proto__", type: "publish" });
  assert.deepEqual([y.texts(), core.texts()], [[], []]);
  assert.deepEqual(t.texts(), ['{"topic":"__proto__","payload":1}']);
});

testPure("a client may have 256 topics of 1024 characters", async () => {
  const board = setUp({ maxMessageSizeBytes: 1024 * 1024 });
  const topics = Array.from({ length: 257 }, (_, n) => `${n}`);
  const peer = await start(board, subscribe("x".repeat(1025), ...topics, "y".repeat(1024)));
  const publisher = await start(board, '{"type":"ping"}');
  publisher.texts();
  const received: unknown[] = [];
  for (const topic of ["0", "255", "256", "x".repeat(1025), "y".repeat(1024)]) {
    publisher.send(JSON.stringify({ type: "publish", topic }));
    received.push(...peer.messages().map(({ topic }) => topic));
  }
  assert.deepEqual(received, ["0", "255"]);
});

testPure("the end of a connection ends its subscriptions", async () => {
  const board = setUp();
  const peer = await start(board, subscribe("a", "b"));
  peer.connection.ended(1001);
  assert.deepEqual([board.router.connected, board.router.topics.size], [0, 0]);
});

testPure("a subscription costs one token for each 16 topics begun", async () => {
  const board = setUp({ rateLimitPerSecond: 1, rateBurst: 16 });
  const all = Array.from({ length: 256 }, (_, n) => `${n}`);
  const peer = await start(board, subscribe(...all), '{"type":"ping"}', subscribe("more"));
  assert.deepEqual([board.router.topics.size, peer.texts()], [256, []]);
  board.clock.advance(2000);
  peer.send('{"type":"unsubscribe","topics":["0"]}', '{"type":"ping"}');
  assert.deepEqual([board.router.topics.size, peer.texts()], [255, ['{"type":"pong"}']]);
});

testPure("at most 512 topics of a list are read", async () => {
  const board = setUp({ maxMessageSizeBytes: 1024 * 1024 });
  const peer = await start(board, subscribe(...Array(511).fill("a"), "b", "c"));
  assert.equal(board.router.topics.size, 2);
  peer.send(subscribe("c"));
  assert.equal(board.router.topics.size, 3);
});

testPure("one address' topics take 4 MiB at the most, whatever others take", async () => {
  const board = setUp({ maxMessageSizeBytes: 1024 * 1024 });
  const greedy: FakePeer[] = [];
  for (let n = 0; n < 20; n++) {
    const topics = Array.from({ length: 256 }, (_, m) => `${n} ${m} `.padEnd(1024, "é"));
    greedy.push(await start(board, subscribe(...topics)));
  }
  assert(board.router.topics.size * 2048 <= 4 * 1024 ** 2);
  assert(board.router.topics.size * 3000 >= 4 * 1024 ** 2);
  const bystander = board.connect("http://host/", "192.0.2.2");
  bystander.send(subscribe("room"));
  await drainMicrotasks();
  greedy[0]!.send('{"type":"publish","topic":"room"}');
  assert.equal(bystander.texts().length, 1);
  for (const { connection } of greedy) connection.ended(1001);
  assert.equal(board.router.topics.size, 1);
  await start(board, subscribe("a", "b"));
  assert.equal(board.router.topics.size, 3);
});

testPure("a publish costs one token for each 100 subscribers begun", async () => {
  const board = setUp({ rateLimitPerSecond: 1, rateBurst: 3 });
  const all = await Promise.all(Array.from({ length: 101 }, () => start(board, subscribe("a"))));
  const publisher = await start(board, '{"type":"publish","topic":"a"}');
  publisher.send('{"type":"publish","topic":"a","n":2}');
  assert.equal(all[0]!.texts().length, 1);
  assert.deepEqual([publisher.texts(), publisher.closed], [[], null]);
});

testPure("with tokens, a client uses the topics of its token, and stays without one", async () => {
  const authenticator = {
    check: (token: string | null) => {
      if (token === "any") return Promise.resolve({ clientId: "another", rooms: null });
      if (token === "lobby") return Promise.resolve({ clientId: null, rooms: ["lobby"] });
      return Promise.reject(new TokenError("A token is needed."));
    },
  };
  const board = new Switchboard({}, authenticator, [trystero, yWebrtc]);
  const any = await startAt("http://host/?token=any", board, subscribe("lobby", "attic"));
  const lobby = await startAt("http://host/?token=lobby", board, subscribe("lobby", "attic"));
  const none = await start(board, subscribe("lobby"), '{"type":"ping"}');
  none.send('{"type":"publish","topic":"lobby","n":1}');
  lobby.send(
    '{"type":"publish","topic":"attic","n":2}',
    '{"type":"publish","topic":"lobby","n":3}',
  );
  any.send('{"type":"publish","topic":"attic","n":4}');
  assert.deepEqual(any.messages().map(({ n }) => n), [3, 4]);
  assert.deepEqual(lobby.messages().map(({ n }) => n), [3]);
  assert.deepEqual([none.texts(), none.closed], [['{"type":"pong"}'], null]);
});

testPure("a broken binary message is ignored, also while the token is checked", async () => {
  const grant = Promise.withResolvers<{ clientId: null; rooms: null }>();
  const board = new Switchboard({}, { check: () => grant.promise }, [trystero, yWebrtc]);
  const peer = board.connect("http://host/?token=t");
  peer.send(subscribe("a"), Uint8Array.of(0xff).buffer, '{"type":"ping"}');
  grant.resolve({ clientId: null, rooms: null });
  await drainMicrotasks();
  assert.deepEqual([peer.texts(), peer.closed], [['{"type":"pong"}'], null]);
});
