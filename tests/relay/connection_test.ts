/** The life of a connection, with a fake socket and a fake clock. */

import assert from "node:assert/strict";
import type { Authenticator } from "../../lib/auth/tokens.ts";
import { yWebrtc } from "../../lib/dialects/topics.ts";
import { testPure } from "../helpers/pure.ts";
import { FakePeer, FakeSocket, Switchboard } from "../helpers/switchboard.ts";

const register = (clientId: string) => ({ type: "register", client_id: clientId });

testPure("registered has two members, and no others", () => {
  const board = new Switchboard();
  const alice = board.connect();
  alice.send(register("alice"));
  assert.deepEqual(alice.texts(), ['{"type":"registered","client_id":"alice"}']);
  assert.deepEqual(board.registered, [alice.connection]);
  assert.equal(board.router.connected, 1);
  assert.equal(alice.closed, null);
});

testPure("register may have unknown members", () => {
  const board = new Switchboard();
  const alice = board.connect();
  alice.send({ ...register("alice"), presence: null, resume: null, token: 5, codec: "vp8" });
  assert.deepEqual(alice.texts(), ['{"type":"registered","client_id":"alice"}']);
});

/** First messages that are refused, with the code of the error and of the close. */
const BAD_FIRST_MESSAGES = [
  ["not JSON", "register", "invalid_message", 1008],
  ["not an object", '["register"]', "invalid_message", 1008],
  ["target_id of another type", '{"type":"register","target_id":1}', "invalid_message", 1008],
  ["another type", '{"type":"offer","client_id":"alice"}', "not_registered", 1008],
  ["no type", '{"client_id":"alice"}', "not_registered", 1008],
  ["no client_id", '{"type":"register"}', "invalid_client_id", 1008],
  ["client_id of another type", '{"type":"register","client_id":5}', "invalid_client_id", 1008],
  ["an empty client_id", '{"type":"register","client_id":""}', "invalid_client_id", 1008],
  [
    "a malformed room",
    '{"type":"register","client_id":"a","room":"b\\n"}',
    "invalid_client_id",
    1008,
  ],
  [
    "presence of a wrong type",
    '{"type":"register","client_id":"a","presence":"true"}',
    "invalid_message",
    1008,
  ],
  [
    "resume of a wrong type",
    '{"type":"register","client_id":"a","resume":1}',
    "invalid_message",
    1008,
  ],
  ["NUL bytes", new ArrayBuffer(3), "invalid_message", 1008],
  ["not UTF-8", Uint8Array.of(0x7b, 0xff, 0x7d).buffer, "invalid_message", 1008],
  ["a message over the limit", `{"a":"${"x".repeat(65536)}"}`, "message_too_large", 1009],
] as const;

for (const [what, message, code, closeCode] of BAD_FIRST_MESSAGES) {
  testPure(`a first message is refused with ${code} and ${closeCode}: ${what}`, () => {
    const board = new Switchboard();
    const stranger = board.connect();
    stranger.send(message);
    const [error, ...others] = stranger.messages();
    assert.deepEqual([error?.type, error?.code, others], ["error", code, []]);
    assert.equal(typeof error?.message, "string");
    assert.equal(stranger.closed, `${closeCode} ${code}`);
    assert.deepEqual(board.events.lines, [
      `error_sent ${code}`,
      `client_refused ${code}`,
      `closing ${code}`,
    ]);
    const [refused] = board.events.of("client_refused");
    assert.deepEqual([refused?.address, refused?.message], ["192.0.2.1", error?.message]);
    assert.deepEqual([board.registered, board.router.connected], [[], 0]);
  });
}

testPure("messages after a fatal error are ignored", () => {
  const board = new Switchboard();
  const bob = board.register("bob");
  const stranger = board.connect();
  stranger.send("nonsense", register("stranger"), { target_id: "bob" }, new ArrayBuffer(1));
  assert.equal(stranger.texts().length, 1);
  assert.deepEqual(bob.texts(), []);
  assert.equal(board.router.connected, 1);
});

testPure("a message goes to its target alone, readdressed and in order", () => {
  const board = new Switchboard();
  const [alice, bob, carol] = board.registerAll("alice", "bob", "carol");
  alice.send('{"type":"offer","target_id":"bob", "sdp":"v=0"}', '{"n":1e0,"target_id":"bob"}');
  assert.deepEqual(bob.texts(), [
    '{"type":"offer","from":"alice", "sdp":"v=0"}',
    '{"n":1e0,"from":"alice"}',
  ]);
  assert.deepEqual([alice.texts(), carol.texts()], [[], []]);
  assert.deepEqual(board.events.lines.slice(-2), ["sent alice bob", "sent alice bob"]);
});

testPure("a message without a target is sent to all others", () => {
  const board = new Switchboard();
  const alice = board.register("alice");
  const others = [board.register("bob"), board.register("carol")];
  alice.send({ a: 1 }, { target_id: null, a: 2 }, { target_id: "", a: 3 });
  for (const other of others) {
    assert.deepEqual(other.texts(), [1, 2, 3].map((a) => `{"from":"alice","a":${a}}`));
  }
  assert.deepEqual(alice.texts(), []);
  assert.deepEqual(board.events.lines.slice(-1), ["broadcast alice 2"]);
});

testPure("a client can send a message to itself", () => {
  const alice = new Switchboard().register("alice");
  alice.send({ target_id: "alice", type: "ping" });
  assert.deepEqual(alice.messages(), [{ from: "alice", type: "ping" }]);
});

testPure("messages of every type but register are forwarded", () => {
  const board = new Switchboard();
  const [alice, bob] = board.registerAll("alice", "bob");
  const types = ["error", "registered", "ping", "peer_joined", "Register", 5, null, ["register"]];
  for (const type of types) alice.send({ target_id: "bob", type });
  assert.deepEqual(bob.messages(), types.map((type) => ({ from: "alice", type })));
});

testPure("target_not_found is sent at once if the mailbox is off", () => {
  const alice = new Switchboard().register("alice");
  alice.send({ target_id: "bob", type: "offer" });
  const message = 'No client "bob" is connected.';
  assert.deepEqual(alice.messages(), [
    { type: "error", code: "target_not_found", message, target_id: "bob" },
  ]);
  assert.equal(alice.closed, null);
});

testPure("mailbox_full names the target", () => {
  const board = new Switchboard({ mailboxTtlMs: 10_000 });
  const alice = board.register("alice");
  for (let n = 0; n < 65; n++) alice.send({ target_id: "bob", n });
  const [error, ...others] = alice.messages();
  assert.deepEqual([error?.code, error?.target_id, others], ["mailbox_full", "bob", []]);
  assert.equal(board.router.directory.stored, 64);
  assert.equal(alice.closed, null);
});

for (const message of ["nonsense", "[]", "5", '{"target_id":{}}', '{"target_id":false}']) {
  testPure(
    `a registered client that sends ${message} gets invalid_message, and stays connected`,
    () => {
      const board = new Switchboard();
      const [alice, bob] = board.registerAll("alice", "bob");
      alice.send(message, { target_id: "bob", a: 1 });
      assert.deepEqual(alice.messages().map(({ code }) => code), ["invalid_message"]);
      assert.deepEqual(bob.texts(), ['{"from":"alice","a":1}']);
      assert.equal(alice.closed, null);
    },
  );
}

testPure("a binary message is read and forwarded as text", () => {
  const board = new Switchboard();
  const alice = board.connect();
  const bob = board.register("bob");
  const binary = (message: unknown) => new TextEncoder().encode(JSON.stringify(message)).buffer;
  alice.send(binary(register("alice")), binary({ target_id: "bob", sdp: "ü😀" }));
  assert.deepEqual(alice.messages(), [{ type: "registered", client_id: "alice" }]);
  assert.deepEqual(bob.texts(), ['{"from":"alice","sdp":"ü😀"}']);
});

testPure("a binary message that is not UTF-8 gets invalid_message, and no close", () => {
  const alice = new Switchboard().register("alice");
  alice.send(new ArrayBuffer(0), Uint8Array.of(0xc0, 0x80).buffer);
  assert.deepEqual(alice.messages().map(({ code }) => code), [
    "invalid_message",
    "invalid_message",
  ]);
  assert.equal(alice.closed, null);
});

testPure("a second register of the same ID and room is answered again", () => {
  const board = new Switchboard();
  const alice = board.register("alice");
  const bob = board.register("bob", { room: "lobby" });
  alice.send(
    register("alice"),
    { ...register("alice"), room: null },
    { ...register("alice"), room: "" },
  );
  bob.send({ ...register("bob"), room: "lobby" });
  const answer = { type: "registered", client_id: "alice" };
  assert.deepEqual(alice.messages(), [answer, answer, answer]);
  assert.deepEqual(bob.messages(), [{ type: "registered", client_id: "bob", room: "lobby" }]);
  assert.equal(board.router.connected, 2);
});

for (
  const second of [
    { client_id: "bob" },
    { client_id: "" },
    { client_id: ["alice"] },
    {},
    { client_id: "alice", room: "lobby" },
    { client_id: "alice", room: 5 },
    { client_id: "alice", presence: "true" },
    { client_id: "alice", resume: 1 },
  ]
) {
  testPure(
    `a second register is refused with already_registered: ${JSON.stringify(second)}`,
    () => {
      const board = new Switchboard();
      const [alice, bob] = board.registerAll("alice", "bob");
      alice.send({ type: "register", ...second });
      assert.deepEqual(alice.messages().map(({ code }) => code), ["already_registered"]);
      alice.send({ target_id: "bob", still: "here" });
      assert.deepEqual(bob.texts(), ['{"from":"alice","still":"here"}']);
      assert.deepEqual([alice.closed, bob.closed], [null, null]);
    },
  );
}

testPure("a second register without the room is refused in a room", () => {
  const alice = new Switchboard().register("alice", { room: "lobby" });
  alice.send(register("alice"), { ...register("alice"), room: null });
  const codes = alice.messages().map(({ code }) => code);
  assert.deepEqual(codes, ["already_registered", "already_registered"]);
});

testPure("a newer connection takes the ID, and the older one gets replaced and is closed", () => {
  const board = new Switchboard();
  const [bob, older, newer] = board.registerAll("bob", "alice", "alice");
  assert.deepEqual(older.messages().map(({ code }) => code), ["replaced"]);
  assert.equal(older.closed, "4409 replaced");
  older.send({ target_id: "bob", from: "the past" });
  older.connection.ended(1006);
  bob.send({ target_id: "alice" });
  assert.deepEqual([newer.texts(), bob.texts()], [['{"from":"bob"}'], []]);
  assert.equal(board.router.connected, 2);
});

testPure("with reject, a newer connection is refused with id_taken", () => {
  const board = new Switchboard({ onDuplicate: "reject" });
  const older = board.register("alice");
  const newer = board.connect();
  newer.send(register("alice"));
  assert.deepEqual(newer.messages().map(({ code }) => code), ["id_taken"]);
  assert.equal(newer.closed, "4409 id_taken");
  newer.connection.ended(4409);
  older.send({ target_id: "alice" });
  assert.deepEqual(older.texts(), ['{"from":"alice"}']);
});

testPure("ended() is idempotent", () => {
  const board = new Switchboard();
  const alice = board.register("alice");
  alice.connection.ended(1001);
  alice.connection.ended(1005);
  assert.equal(board.router.connected, 0);
  const lines = board.events.lines.filter((line) => line === "unregistered alice");
  assert.equal(lines.length, 1);
});

testPure("close() ends a registration at once, and the client gets the reason", () => {
  const board = new Switchboard();
  const alice = board.register("alice");
  alice.connection.close("shutting_down");
  alice.connection.close("overloaded");
  assert.equal(board.router.connected, 0);
  assert.deepEqual([alice.texts(), alice.closed], [[], "1012 shutting_down"]);
});

testPure("close() waits until the upgrade is done", () => {
  const board = new Switchboard();
  const socket = new FakeSocket();
  socket.readyState = WebSocket.CONNECTING;
  const { connection } = board.attach(socket);
  connection.reject("register_timeout", "Too late.");
  assert.deepEqual([socket.closed, board.clock.pending], [null, 0]);
  socket.open();
  assert.deepEqual(socket.closed, { code: 1008, reason: "register_timeout" });
});

// Size.

/** Returns a message of exactly this number of bytes, filled with a character. */
function messageOfBytes(bytes: number, filler: string): string {
  const message = '{"target_id":"bob","a":""}';
  const encoder = new TextEncoder();
  const rest = bytes - message.length;
  const count = Math.floor(rest / encoder.encode(filler).length);
  const padding = "x".repeat(rest - count * encoder.encode(filler).length);
  return message.replace('""', `"${filler.repeat(count)}${padding}"`);
}

for (const filler of ["a", "é", "€", "😀"]) {
  for (const limit of [64, 65, 66, 67, 68, 65536]) {
    testPure(
      `a message of ${limit} bytes in ${filler} is sent, one more byte is too large`,
      () => {
        const board = new Switchboard({ maxMessageSizeBytes: limit });
        const [alice, bob] = board.registerAll("alice", "bob");
        alice.send(messageOfBytes(limit, filler));
        assert.equal(bob.texts().length, 1);
        alice.send(messageOfBytes(limit + 1, filler));
        assert.deepEqual(bob.texts(), []);
        const [error] = alice.messages();
        assert.deepEqual([error?.code, error?.target_id], ["message_too_large", "bob"]);
        assert.equal(alice.closed, "1009 message_too_large");
      },
    );
  }
}

testPure("a message far over the limit is not searched for its target", () => {
  const alice = new Switchboard().register("alice");
  alice.send(messageOfBytes(1024 * 1024 + 1, "a"));
  const [error] = alice.messages();
  assert.deepEqual([error?.code, error?.target_id], ["message_too_large", undefined]);
});

// Slow readers.

/** Lets a client past the limit read nothing during its grace time. */
function lose(board: Switchboard, slow: FakePeer): void {
  slow.socket.bufferedAmount = 101;
  board.register("other").send({ target_id: "slow", past: "the limit" });
  slow.socket.bufferedAmount = 200; // the client has read nothing
  board.clock.advance(100);
  slow.texts();
}

testPure("a slow reader is unregistered, and closed with 1013", () => {
  const board = new Switchboard({ maxBufferedBytes: 100 });
  const [alice, slow] = board.registerAll("alice", "slow");
  lose(board, slow);
  assert.equal(slow.closed, "1013 overloaded");
  alice.send({ target_id: "slow", n: 2 });
  assert.deepEqual(slow.texts(), []);
  assert.deepEqual(alice.messages().map(({ code }) => code), ["target_not_found"]);
  assert.equal(board.router.connected, 2);
});

testPure("a slow reader gets no message after it was dropped, even if it reads again", () => {
  const board = new Switchboard({ maxBufferedBytes: 100 });
  const alice = board.register("alice");
  const slow = board.register("slow", { presence: true });
  lose(board, slow);
  slow.socket.bufferedAmount = 0;
  slow.socket.readyState = WebSocket.OPEN; // as if the close had no effect
  alice.send({ a: 2 }, { target_id: "slow", a: 3 });
  board.register("bob");
  slow.send(register("slow"));
  assert.deepEqual(slow.texts(), []);
});

testPure("a client far past the limit is dropped at once, and others get a broadcast", () => {
  const board = new Switchboard({ maxBufferedBytes: 100 });
  const [alice, slow, bob] = board.registerAll("alice", "slow", "bob");
  slow.socket.bufferedAmount = 1601;
  alice.send({ a: 1 });
  assert.deepEqual([slow.texts(), slow.closed], [[], "1013 overloaded"]);
  assert.deepEqual(bob.texts(), ['{"from":"alice","a":1}']);
  assert.deepEqual(board.events.lines.slice(-1), ["broadcast alice 1"]);
});

testPure("a client dropped over a stored message is out, and senders of the rest know", () => {
  const board = new Switchboard({ maxBufferedBytes: 100, mailboxTtlMs: 10_000 });
  const alice = board.register("alice");
  for (const n of [1, 2]) alice.send({ target_id: "slow", n, more: "x".repeat(100) });
  const slow = board.connect();
  slow.socket.send = (text) => {
    slow.socket.sent.push(text);
    if (text.includes('"n":1')) slow.socket.bufferedAmount = 1601;
  };
  slow.send(register("slow"));
  assert.equal(slow.closed, "1013 overloaded");
  assert.equal(board.router.connected, 1);
  assert.deepEqual(alice.messages().map(({ code }) => code), ["target_not_found"]);
});

testPure("checkStalled() drops a client that has stopped reading", () => {
  const board = new Switchboard({ idleTimeoutMs: 10_000 });
  const slow = board.register("slow");
  slow.socket.bufferedAmount = 10;
  for (let waitedMs = 0; slow.closed === null; waitedMs += 1250) {
    assert(waitedMs <= 20_000);
    board.clock.advance(1250);
    slow.connection.checkStalled();
  }
  assert.equal(slow.closed, "1013 overloaded");
  assert.equal(board.router.connected, 0);
});

testPure("ended() cancels all timers", () => {
  const board = new Switchboard({ maxBufferedBytes: 100 });
  const alice = board.register("alice");
  for (
    const [name, end] of [
      ["closed", (peer: FakePeer) => peer.connection.close("overloaded")],
      ["ended", (peer: FakePeer) => peer.connection.ended(1006)],
    ] as const
  ) {
    const slow = board.register(name);
    slow.socket.bufferedAmount = 101;
    alice.send({ target_id: name });
    assert.equal(board.clock.pending, 1);
    end(slow);
    assert.equal(board.clock.pending, 0);
  }
});

// Rates.

testPure("a message over the rate limit is not forwarded, and its sender gets an error", () => {
  const board = new Switchboard({ rateLimitPerSecond: 10, rateBurst: 3 });
  const [alice, bob] = board.registerAll("alice", "bob");
  for (let n = 1; n <= 4; n++) alice.send({ target_id: "bob", n });
  assert.deepEqual(bob.messages().map(({ n }) => n), [1, 2, 3]);
  const [error, ...others] = alice.messages();
  assert.deepEqual([error?.code, error?.target_id, others], ["rate_limited", "bob", []]);
  board.clock.advance(100);
  alice.send({ target_id: "bob", n: 5 });
  assert.deepEqual(bob.messages().map(({ n }) => n), [5]);
  assert.equal(alice.closed, null);
});

testPure("after 500 refusals in a row the client is closed", () => {
  const board = new Switchboard({ rateLimitPerSecond: 1, rateBurst: 1 });
  const alice = board.register("alice");
  for (let n = 0; n < 500; n++) alice.send({ target_id: "alice", n });
  assert.equal(alice.closed, null);
  alice.send({ target_id: "alice" });
  assert.equal(alice.closed, "1008 rate_limited");
  assert.equal(alice.messages().filter(({ code }) => code === "rate_limited").length, 500);
});

for (
  const [what, message] of [["message", { target_id: "alice" }], [
    "register",
    register("alice"),
  ]] as const
) {
  testPure(`a ${what} that is accepted resets the count of refusals`, () => {
    const board = new Switchboard({ rateLimitPerSecond: 1, rateBurst: 1 });
    const alice = board.register("alice");
    alice.send({ target_id: "alice" });
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 499; n++) alice.send({ target_id: "alice" });
      board.clock.advance(1000);
      alice.send(message);
    }
    assert.equal(alice.closed, null);
  });
}

testPure("a broadcast costs its sender one message for every 20 recipients", () => {
  const board = new Switchboard({ rateLimitPerSecond: 1, rateBurst: 6 });
  const alice = board.register("alice");
  const others = Array.from({ length: 41 }, (_, n) => board.register(`other ${n}`));
  alice.send({ n: 1 }, { n: 2 }, { n: 3 });
  assert.deepEqual(others[40]?.messages().map(({ n }) => n), [1, 2]);
  assert.deepEqual(alice.messages().map(({ code }) => code), ["rate_limited"]);
});

testPure("a broadcast that costs more than a burst takes a whole burst, and is sent", () => {
  const board = new Switchboard({ rateLimitPerSecond: 1, rateBurst: 2 });
  const alice = board.register("alice");
  const others = Array.from({ length: 60 }, (_, n) => board.register(`other ${n}`));
  alice.send({ n: 1 }, { n: 2 });
  board.clock.advance(2000);
  alice.send({ n: 3 });
  assert.deepEqual(others[59]?.messages().map(({ n }) => n), [1, 3]);
});

// A socket that throws.

class BrokenSocket extends FakeSocket {
  isBroken = false;

  override send(text: string): void {
    if (this.isBroken) throw new Error("send failed");
    super.send(text);
  }

  override close(code: number, reason: string): void {
    super.close(code, reason);
    if (this.isBroken) throw new Error("close failed");
  }
}

testPure("a socket that throws disturbs no other client", () => {
  const board = new Switchboard({ maxBufferedBytes: 1000 });
  const alice = board.register("alice");
  const bob = board.register("bob", { presence: true });
  const broken = board.attach(new BrokenSocket());
  broken.send({ ...register("broken"), presence: true });
  broken.socket.isBroken = true;
  alice.send({ target_id: "broken", n: 1 }, { n: 2 }, { target_id: "bob", n: 3 });
  const types = bob.messages().map(({ type, n }) => type ?? n);
  assert.deepEqual(types, ["peer_joined", "peer_left", 2, 3]);
  assert.deepEqual(alice.messages().map(({ code }) => code), ["target_not_found"]);
  assert.deepEqual([alice.closed, broken.closed], [null, "1011 internal_error"]);
  assert.deepEqual(board.events.lines.filter((line) => line.startsWith("internal_error")), [
    "internal_error send Error: send failed",
    "internal_error close Error: close failed",
  ]);
});

testPure("a socket that throws during an answer disturbs no other client", () => {
  const board = new Switchboard();
  const broken = board.attach(new BrokenSocket());
  broken.socket.isBroken = true;
  broken.send(register("broken"), "nonsense");
  broken.connection.ended(0);
  assert.equal(board.router.connected, 0);
});

// Between an error and the close frame.

const LINGER_MS = 300;

testPure("reject() sends the error at once, and closes after 300 ms", () => {
  const board = new Switchboard();
  const bob = board.register("bob");
  const stranger = board.connect();
  stranger.send("nonsense");
  assert.equal(stranger.texts().length, 1);
  for (let waitedMs = 0; waitedMs < LINGER_MS; waitedMs += 50) {
    assert.equal(stranger.socket.closed, null);
    stranger.send(register("stranger"), { target_id: "bob" }, "nonsense");
    board.clock.advance(50);
  }
  assert.deepEqual(stranger.socket.closed, { code: 1008, reason: "invalid_message" });
  assert.deepEqual([stranger.texts(), bob.texts(), board.clock.pending], [[], [], 0]);
  assert.equal(board.events.lines.filter((line) => line.startsWith("error_sent")).length, 1);
});

testPure("a client that floods after its error is closed at once", () => {
  const board = new Switchboard();
  const stranger = board.connect();
  stranger.send("nonsense");
  for (let n = 1; n < 10_000; n++) stranger.send("more");
  assert.equal(stranger.socket.closed, null);
  stranger.send("more", "more");
  assert.deepEqual(stranger.socket.closed, { code: 1008, reason: "invalid_message" });
  assert.equal(board.clock.pending, 0);
});

testPure("a replaced client that keeps sending gets no further error", () => {
  const board = new Switchboard();
  const watcher = board.register("watcher", { presence: true });
  const [older, newer] = board.registerAll("alice", "alice");
  older.send({ target_id: "watcher" }, { n: 1 }, register("alice"));
  newer.send({ target_id: "alice", n: 2 });
  const types = watcher.messages().map(({ type }) => type);
  assert.deepEqual(types, ["peer_joined", "peer_left", "peer_joined"]);
  assert.deepEqual(older.messages().map(({ code }) => code), ["replaced"]);
  assert.deepEqual(newer.messages(), [{ from: "alice", n: 2 }]);
  board.clock.advance(LINGER_MS);
  assert.deepEqual(older.socket.closed, { code: 4409, reason: "replaced" });
  assert.equal(newer.socket.closed, null);
});

testPure("a rejected client gets no further message, and its ID is free at once", () => {
  const board = new Switchboard({ mailboxTtlMs: 10_000 });
  const bob = board.register("bob");
  const alice = board.register("alice", { presence: true });
  alice.send("x".repeat(65_537));
  assert.deepEqual(alice.messages().map(({ code }) => code), ["message_too_large"]);
  assert.equal(board.router.find("", "alice"), undefined);
  board.register("carol");
  bob.send({ target_id: "alice", n: 1 }, { n: 2 });
  const newer = board.connect();
  newer.send(register("alice"));
  assert.deepEqual(newer.messages().map(({ type, n }) => type ?? n), ["registered", 1]);
  assert.deepEqual([alice.texts(), alice.socket.closed], [[], null]);
});

testPure("a client that closes first cancels the timer of the close", () => {
  const board = new Switchboard();
  const stranger = board.connect();
  stranger.send("nonsense");
  assert.equal(board.clock.pending, 1);
  stranger.connection.ended(1005);
  assert.equal(board.clock.pending, 0);
  board.clock.advance(LINGER_MS);
  assert.equal(stranger.socket.closed, null);
});

testPure("reject() and close() do nothing after reject()", () => {
  const board = new Switchboard();
  const stranger = board.connect();
  stranger.send("nonsense");
  stranger.connection.reject("register_timeout", "Too late.");
  stranger.connection.close("shutting_down");
  assert.equal(stranger.texts().length, 1);
  assert.equal(stranger.closed, "1008 invalid_message");
  board.clock.advance(LINGER_MS);
  assert.deepEqual(stranger.socket.closed, { code: 1008, reason: "invalid_message" });
});

testPure("close() for a silent reason closes at once", () => {
  const board = new Switchboard();
  const alice = board.register("alice");
  alice.connection.close("disconnected");
  assert.deepEqual(alice.socket.closed, { code: 1008, reason: "disconnected" });
  assert.deepEqual(board.events.of("unregistered").map(({ reason }) => reason), ["disconnected"]);
});

testPure("a client over the rate limit gets the last rate_limited before the close frame", () => {
  const board = new Switchboard({ rateLimitPerSecond: 1, rateBurst: 1 });
  const alice = board.register("alice");
  for (let n = 0; n < 1000; n++) alice.send({ target_id: "alice" });
  assert.equal(alice.messages().filter(({ code }) => code === "rate_limited").length, 500);
  assert.equal(alice.socket.closed, null);
  board.clock.advance(LINGER_MS);
  assert.deepEqual(alice.socket.closed, { code: 1008, reason: "rate_limited" });
});

// Refused registrations.

testPure("id_held has the longest time until the ID is free", () => {
  const board = new Switchboard({ resumeTtlMs: 30_000 });
  const alice = board.register("alice", { resume: true });
  alice.connection.ended(1006);
  board.clock.advance(12_345);
  const newer = board.connect();
  newer.send(register("alice"));
  const [error, ...others] = newer.messages();
  assert.deepEqual([error?.code, error?.retry_after_ms, others], ["id_held", 17_655, []]);
  assert.match(String(error?.message), /"alice".* 18 s/);
  assert.equal(newer.closed, "1013 id_held");
  board.clock.advance(17_655);
  const last = board.connect();
  last.send(register("alice"));
  assert.equal(last.messages()[0]?.type, "registered");
});

testPure("id_taken has no retry_after_ms", () => {
  const board = new Switchboard({ resumeTtlMs: 30_000 });
  board.register("alice", { resume: true });
  const newer = board.connect();
  newer.send(register("alice"));
  const [error] = newer.messages();
  assert.deepEqual([error?.code, "retry_after_ms" in error!], ["id_taken", false]);
  assert.equal(newer.closed, "4409 id_taken");
});

/** Connects as a server does, which counts the connection until it has ended. */
function connectCounted(board: Switchboard) {
  const peer = board.connect();
  const { address } = peer.connection;
  board.capacity.countConnection(address, 1);
  const end = (code: number) => {
    peer.connection.ended(code);
    board.capacity.countConnection(address, -1);
  };
  return { peer, end };
}

for (
  const [what, limits, option] of [
    ["the server", { maxConnections: 4 }, /--max-connections\)/],
    ["its address", { maxConnectionsPerIp: 4 }, /--max-connections-per-ip/],
  ] as const
) {
  testPure(`server_full: held IDs count with the connections of ${what}`, () => {
    const board = new Switchboard({ resumeTtlMs: 30_000, ...limits });
    const connect = (clientId: string, more = {}) => {
      const { peer, end } = connectCounted(board);
      peer.send({ ...register(clientId), ...more });
      const [answer] = peer.messages();
      return { peer, answer, end: (code: number) => end(code) };
    };
    const lost = connect("lost", { resume: true });
    lost.end(1006);
    for (const id of ["a", "b", "c"]) assert.equal(connect(id).answer?.type, "registered");
    const refused = connect("d");
    assert.equal(refused.answer?.code, "server_full");
    assert.match(String(refused.answer?.message), option);
    assert.equal(refused.peer.closed, "1013 server_full");
    refused.end(1013);
    const stale = connect("d", { resume: "a secret that is not known" });
    assert.equal(stale.answer?.code, "server_full");
    stale.end(1013);
    const back = connect("lost", { resume: lost.answer?.resume });
    assert.deepEqual([back.answer?.type, back.answer?.resumed], ["registered", true]);
  });
}

testPure("the owner of a held ID with a token for it never gets server_full", async () => {
  const grant = { clientId: "owner", rooms: null };
  const authenticator = { check: () => Promise.resolve(grant) } as unknown as Authenticator;
  const board = new Switchboard({ resumeTtlMs: 30_000, maxConnections: 2 }, authenticator);
  const connect = async () => {
    const { peer, end } = connectCounted(board);
    peer.send({ ...register("owner"), resume: true });
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    return { peer, end };
  };
  const before = await connect();
  before.end(1006);
  connectCounted(board); // the server is full, except for the held ID
  const { peer } = await connect();
  const [answer] = peer.messages();
  assert.deepEqual([answer?.type, answer?.resumed], ["registered", false]);
});

testPure("a message that waits for a registration is dropped if the client leaves", async () => {
  const checked = Promise.withResolvers<unknown>();
  const authenticator = { check: () => checked.promise } as unknown as Authenticator;
  const board = new Switchboard({}, authenticator);
  const alice = board.connect();
  alice.send(register("alice"), { target_id: "alice" }, "nonsense");
  alice.socket.readyState = WebSocket.CLOSED;
  alice.connection.ended(1006);
  checked.resolve({ clientId: null, rooms: null });
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  assert.deepEqual([board.events.lines, board.clock.pending], [[], 0]);
});

testPure("a token is checked only for as long as its client is connected", () => {
  for (const first of [register("alice"), { type: "subscribe", topics: [] }]) {
    const asked: (() => boolean)[] = [];
    const check: Authenticator["check"] = (_, isWanted) => {
      asked.push(isWanted!);
      return new Promise(() => {});
    };
    const peer = new Switchboard({}, { check }, [yWebrtc]).connect();
    peer.send(first);
    assert.equal(asked[0]!(), true);
    peer.socket.readyState = WebSocket.CLOSED;
    assert.equal(asked[0]!(), false);
  }
});

/** Prints the memory that the connection of a client with a URL of 60 KiB takes once it has registered, in bytes. */
const MEASURE = `
  import { peerjs } from "${import.meta.resolve("../../lib/dialects/peerjs.ts")}";
  import { Switchboard } from "${import.meta.resolve("../helpers/switchboard.ts")}";
  const board = new Switchboard({}, null, [peerjs({ peerjsKey: "peerjs", peerjsDiscovery: false }, false)]);
  const used = () => (gc(), Deno.memoryUsage().heapUsed);
  const connect = (n) => {
    const token = JSON.parse(JSON.stringify(n + "x".repeat(60_000)));
    const peer = board.connect(Deno.args[0] + "?key=peerjs&id=" + n + "&token=" + token);
    peer.connection.opened();
    peer.send({ type: "register", client_id: "client " + n }); // PeerJS ignores it
    return peer;
  };
  connect(0);
  const before = used();
  const all = Array.from({ length: 200 }, (_, n) => connect(1 + n));
  console.log((used() - before) / all.length);
`;

for (const path of ["/peerjs", "/"]) {
  Deno.test(`a client of ${path} does not keep its URL of 60 KiB in memory`, async () => {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-check", "--v8-flags=--expose-gc", MEASURE, `http://host${path}`],
    }).output();
    const bytes = Number(new TextDecoder().decode(stdout));
    assert.ok(bytes > 0 && bytes < 30_000, `${bytes} bytes`);
  });
}

// The cost of messages.

/** Returns the number of messages that a burst of 40 tokens pays for. */
function affordable(message: string | Record<string, unknown>, others = 0): number {
  const options = { rateLimitPerSecond: 1, rateBurst: 40, maxMessageSizeBytes: 1024 * 1024 };
  const board = new Switchboard(options);
  const alice = board.register("alice");
  for (let n = 0; n < others; n++) board.register(`other ${n}`);
  for (let count = 0;; count++) {
    alice.send(message);
    if (alice.messages().some(({ code }) => code === "rate_limited")) return count;
  }
}

testPure("a message costs one token for each 16 KiB begun, in UTF-8", () => {
  const KiB = 1024;
  for (const filler of ["a", "é", "😀"]) {
    assert.equal(affordable(messageOfBytes(16 * KiB, filler)), 40, filler);
    assert.equal(affordable(messageOfBytes(16 * KiB + 1, filler)), 20, filler);
    assert.equal(affordable(messageOfBytes(32 * KiB + 1, filler)), 13, filler);
  }
});

testPure("a broadcast multiplies the cost of its size by that of its recipients", () => {
  const broadcast = (bytes: number) => `{"a":"${"x".repeat(bytes - 8)}"}`;
  assert.equal(affordable(broadcast(100), 20), 40);
  assert.equal(affordable(broadcast(100), 21), 20);
  assert.equal(affordable(broadcast(16 * 1024 + 1), 21), 10);
});

testPure("a repeated register costs ten tokens, or as much as a broadcast", () => {
  assert.equal(affordable(register("alice")), 4);
  assert.equal(affordable(register("alice"), 220), 3); // 11 tokens: 20 recipients each
});

testPure("no message costs more than a burst", () => {
  assert.equal(affordable(messageOfBytes(1024 * 1024, "a")), 1);
  assert.equal(affordable(`{"a":"${"x".repeat(100_000)}"}`, 200), 1);
});

// The total of all send buffers.

testPure("a client past its limit gets no grace while the total is exceeded", () => {
  const board = new Switchboard({ maxBufferedBytes: 100, maxBufferedTotalBytes: 300 });
  const alice = board.register("alice");
  const [a, b] = [board.register("a"), board.register("b")];
  for (const peer of [a, b]) peer.socket.bufferedAmount = 160;
  alice.send({ target_id: "a" }, { target_id: "b" });
  assert.deepEqual([a.closed, b.closed], [null, null]); // the total is exceeded only now
  alice.send({ target_id: "b" });
  assert.deepEqual([a.closed, b.closed], [null, "1013 overloaded"]);
  alice.send({ target_id: "a" });
  assert.equal(a.closed, "1013 overloaded");

  const c = board.register("c"); // those that are closed count until they leave
  c.socket.bufferedAmount = 160;
  alice.send({ target_id: "c" });
  assert.equal(c.closed, "1013 overloaded");
  for (const peer of [a, b, c]) peer.connection.ended(1006);
  const d = board.register("d");
  d.socket.bufferedAmount = 160;
  alice.send({ target_id: "d" }, { target_id: "d" });
  assert.equal(d.closed, null);
});

testPure("send buffers of clients that have not registered count in the total", () => {
  const authenticator: Authenticator = { check: () => new Promise(() => {}) };
  const board = new Switchboard({ maxBufferedTotalBytes: 1000 }, authenticator);
  const peers = ["alice", "bob", "carol"].map((id) => {
    const peer = board.connect();
    peer.send({ ...register(id), token: "x" }, `"${"x".repeat(598)}"`);
    return peer;
  });
  assert.deepEqual(peers.map((peer) => peer.messages().map(({ code }) => code)), [
    [],
    [],
    ["rate_limited"],
  ]);
  assert.equal(board.bufferedTotal.bytes, 1200);
  for (const { connection } of peers) connection.ended(1001);
  assert.equal(board.bufferedTotal.bytes, 0);
});

testPure("the first message of a client that registers with it counts in the total", () => {
  const authenticator: Authenticator = { check: () => new Promise(() => {}) };
  const board = new Switchboard({}, authenticator, [yWebrtc]);
  const peer = board.connect();
  const text = '{"type":"subscribe","topics":["x"]}';
  peer.send(text, text);
  assert.equal(board.bufferedTotal.bytes, 2 * text.length);
  peer.connection.ended(1001);
  assert.equal(board.bufferedTotal.bytes, 0);
});
