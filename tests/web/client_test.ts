/** The JavaScript client without a browser: it connects and reconnects over a fake socket, with a fake clock. */

import assert from "node:assert/strict";
import {
  type ConnectOptions,
  resumeIn,
  Signaling,
  SignalingError,
} from "../../lib/web/clients/client.js";
import { FakeClock } from "../helpers/clock.ts";
import type { Message } from "../helpers/client.ts";
import { testPure } from "../helpers/pure.ts";

/** A WebSocket whose other side is the test. */
class FakeSocket {
  readyState: number = WebSocket.CONNECTING;
  bufferedAmount = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  readonly sent: Message[] = [];
  closedWith: number | undefined;

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(code?: number): void {
    this.closedWith = code;
  }

  open(): void {
    this.readyState = WebSocket.OPEN;
    this.onopen?.();
  }

  receive(message: Message | string): void {
    this.onmessage?.({ data: typeof message === "string" ? message : JSON.stringify(message) });
  }

  /** Opens, and lets the client register. */
  accept(answer: Message = {}): void {
    this.open();
    this.receive({ type: "registered", client_id: "alice", ...answer });
  }

  lose(code: number, reason = ""): void {
    this.readyState = WebSocket.CLOSED;
    this.onclose?.({ code, reason });
  }
}

/** A client, and what it has of a browser. */
class Bench {
  readonly clock = new FakeClock();
  onOnline = () => {};
  onUnload = () => {};
  isListening = true;
  /** Status of the answer to a diagnosis; null: no answer. */
  healthStatus: number | null = 200;
  readonly fetched: string[] = [];
  dice = () => 0.5;
  readonly sockets: FakeSocket[] = [];
  readonly signaling: Signaling;
  readonly events: string[] = [];
  readonly errors: SignalingError[] = [];
  #onSocket: () => void = () => {};

  constructor(options: Partial<ConnectOptions> = {}) {
    this.signaling = new Signaling("ws://test/", { clientId: "alice", ...options }, {
      openSocket: () => this.#openSocket(),
      fetch: (url) => this.#fetch(url),
      origin: "https://app.example.org",
      listen: ({ onOnline, onUnload }) => {
        this.onOnline = onOnline;
        this.onUnload = onUnload;
        return () => void (this.isListening = false);
      },
      createConnection: () => {
        throw new Error("not in these tests");
      },
      random: () => this.dice(),
      now: () => this.clock.now(),
      after: (delayMs, callback) => this.clock.after(delayMs, callback),
    });
    this.signaling.on("statechange", ({ state, delayMs }) => {
      this.events.push(delayMs === undefined ? state : `${state} ${delayMs}`);
    });
    this.signaling.on("joined", ({ clientId }) => void this.events.push(`joined ${clientId}`));
    this.signaling.on("left", ({ clientId }) => void this.events.push(`left ${clientId}`));
    this.signaling.on("error", (error) => void this.errors.push(error));
  }

  #openSocket(): FakeSocket {
    const socket = new FakeSocket();
    this.sockets.push(socket);
    this.#onSocket();
    return socket;
  }

  #fetch(url: string): Promise<{ status: number }> {
    this.fetched.push(url);
    const status = this.healthStatus;
    return status === null ? Promise.reject(new TypeError("failed")) : Promise.resolve({ status });
  }

  /** Fails attempts without an answer, the current one first; the next one is under way then. */
  async failAttempts(count: number): Promise<void> {
    for (let n = 0; n < count; n++) {
      (await this.socket(this.sockets.length || 1)).lose(1006);
      this.clock.advance(Number(this.events.at(-1)!.split(" ")[1]));
    }
  }

  /** Resolves with the next error. */
  nextError(): Promise<SignalingError> {
    return new Promise((resolve) => {
      const stop = this.signaling.on("error", (error) => {
        stop();
        resolve(error);
      });
    });
  }

  /** The next attempt to connect: the token is asked for first, and that takes a moment. */
  async socket(number: number): Promise<FakeSocket> {
    while (this.sockets.length < number) {
      await new Promise<void>((resolve) => this.#onSocket = resolve);
    }
    return this.sockets[number - 1]!;
  }
}

testPure("the delay before an attempt doubles up to half a minute, with jitter", async () => {
  for (const [dice, first, last] of [[0, 250, 15_000], [0.5, 375, 22_500]] as const) {
    const bench = new Bench();
    bench.dice = () => dice;
    await bench.failAttempts(10);
    const delays = bench.events.filter((event) => event.startsWith("waiting"));
    assert.deepEqual(delays.slice(0, 3), [1, 2, 4].map((factor) => `waiting ${factor * first}`));
    assert.equal(delays.at(-1), `waiting ${last}`);
  }
});

testPure("Signaling ends after 1008, 1009 and 4409, and after no other code", async () => {
  for (const code of [1008, 1009, 4409]) {
    const bench = new Bench();
    (await bench.socket(1)).accept();
    bench.sockets[0]!.lose(code);
    assert.equal(bench.signaling.state, "closed", `${code}`);
    assert.equal(bench.isListening, false);
  }
  for (const code of [0, 1000, 1001, 1003, 1005, 1006, 1011, 1013, 4000]) {
    const bench = new Bench();
    (await bench.socket(1)).accept();
    bench.sockets[0]!.lose(code);
    assert.equal(bench.events.at(-1), "waiting 375", `${code}`);
  }
});

testPure("Signaling comes back within a second of a planned restart", async () => {
  for (const dice of [0, 0.25, 0.999]) {
    const bench = new Bench();
    bench.dice = () => dice;
    (await bench.socket(1)).accept();
    bench.sockets[0]!.lose(1012, "shutting_down");
    assert.equal(bench.events.at(-1), `waiting ${dice * 1000}`);
  }
});

testPure("Signaling waits for an ID that is held as long as the server says", async () => {
  const bench = new Bench();
  const socket = await bench.socket(1);
  socket.open();
  const message = "The ID is held.";
  socket.receive({ type: "error", code: "id_held", message, retry_after_ms: 12_345 });
  socket.lose(1013, "id_held");
  assert.equal(bench.events.at(-1), "waiting 12345");
  assert.equal(bench.errors[0]!.code, "id_held");
  bench.clock.advance(12_345);
  (await bench.socket(2)).accept();
  bench.sockets[1]!.lose(1006);
  assert.equal(bench.events.at(-1), "waiting 375");
});

testPure("Signaling comes back to a server that is full", async () => {
  const bench = new Bench();
  const socket = await bench.socket(1);
  socket.open();
  socket.receive({ type: "error", code: "server_full", message: "The server is full." });
  socket.lose(1013, "server_full");
  assert.equal(bench.events.at(-1), "waiting 375");
});

testPure("connect_failed says what is likely after three attempts, once an outage", async () => {
  const cases: [number | null, RegExp][] = [
    [null, /no answer from http:\/\/test\/healthz: the server is away, the address is wrong\.$/],
    [
      200,
      /not allow the origin https:\/\/app\.example\.org \(--allow-origin\), or a proxy .* Upgrade/,
    ],
    [404, /status 404: there is no signalbox server at this address/],
    [502, /status 502: the server is shutting down, or a proxy cannot reach it/],
  ];
  for (const [status, message] of cases) {
    const bench = new Bench();
    bench.healthStatus = status;
    const error = bench.nextError();
    await bench.failAttempts(6);
    assert.equal((await error).code, "connect_failed");
    assert.match((await error).message, message);
    (await bench.socket(7)).accept();
    assert.deepEqual(bench.fetched, ["http://test/healthz"]);
    bench.sockets[6]!.lose(1006);
    bench.clock.advance(30_000);
    const again = bench.nextError();
    await bench.failAttempts(3);
    await again;
    assert.equal(bench.errors.length, 2);
  }
});

testPure("Signaling.ping() measures the time to the server and back", async () => {
  const bench = new Bench();
  await assert.rejects(bench.signaling.ping(), { code: "ping_failed" });
  bench.signaling.on("message", () => assert.fail("the answer is no message"));
  const socket = await bench.socket(1);
  socket.accept();
  const ping = bench.signaling.ping();
  const { target_id, ...sent } = socket.sent.at(-1)!;
  assert.equal(target_id, "alice");
  bench.clock.advance(42);
  socket.receive({ ...sent, from: "alice" });
  assert.equal(await ping, 42);
  const lost = bench.signaling.ping();
  bench.clock.advance(5000);
  await assert.rejects(lost, { code: "ping_failed" });
  assert.equal(bench.signaling.state, "registered");
});

testPure("Signaling drops a dead connection when the network is back", async () => {
  const bench = new Bench();
  (await bench.socket(1)).accept();
  bench.onOnline();
  bench.clock.advance(5000);
  await new Promise<void>((resolve) => bench.signaling.on("statechange", () => resolve()));
  assert.equal(bench.events.at(-1), "waiting 375");
  assert.equal(bench.sockets[0]!.onclose, null);
});

for (const resume of [undefined, true] as const) {
  Deno.test(
    `the end of the page gives the ID up with resume ${resume}, and a page that stays comes back`,
    async () => {
      const bench = new Bench(resume ? { resume } : {});
      const socket = await bench.socket(1);
      socket.accept(resume ? { resume: "secret", resumed: false } : {});
      socket.receive({ type: "offer", sdp: "v=0", session: "b1", from: "bob" });
      bench.onUnload();
      assert.deepEqual(socket.sent.at(-1), { type: "bye", peer_session: "b1", target_id: "bob" });
      assert.equal(socket.closedWith, 1000);
      socket.lose(1000);
      bench.clock.advance(375);
      (await bench.socket(2)).accept();
      assert.equal(bench.sockets[1]!.sent[0]!.resume, resume);
    },
  );
}

testPure("the end of the page keeps an ID that a reload can resume", async () => {
  const bench = new Bench({ resume: { load: () => "old", save: () => {} } });
  const socket = await bench.socket(1);
  socket.accept({ resume: "new" });
  bench.onUnload();
  assert.equal(socket.closedWith, undefined);
  assert.equal(socket.sent.length, 1);
});

testPure("Signaling registers with the given options, and nothing else", async () => {
  const plain = new Bench();
  (await plain.socket(1)).accept();
  assert.deepEqual(plain.sockets[0]!.sent, [{ type: "register", client_id: "alice" }]);
  assert.deepEqual(plain.events, ["registered"]);

  const all = new Bench({ room: "lobby", presence: true, resume: true, token: () => "t1" });
  (await all.socket(1)).accept();
  assert.deepEqual(all.sockets[0]!.sent, [{
    type: "register",
    client_id: "alice",
    room: "lobby",
    presence: "batch",
    token: "t1",
    resume: true,
  }]);
});

testPure("Signaling comes back after a loss, with its secret and a fresh token", async () => {
  let tokens = 0;
  const bench = new Bench({ resume: true, token: () => Promise.resolve(`t${++tokens}`) });
  (await bench.socket(1)).accept({ resume: "secret", resumed: false });
  bench.sockets[0]!.lose(1006);
  bench.clock.advance(375);
  (await bench.socket(2)).accept({ resume: "secret", resumed: true });
  assert.deepEqual(bench.events, ["registered", "waiting 375", "connecting", "registered"]);
  assert.equal(bench.sockets[1]!.sent[0]!.resume, "secret");
  assert.equal(bench.sockets[1]!.sent[0]!.token, "t2");
  assert.equal(bench.signaling.resumed, true);
});

testPure("the delay starts again only after a connection that lasted", async () => {
  const bench = new Bench();
  (await bench.socket(1)).accept();
  bench.sockets[0]!.lose(1013);
  bench.clock.advance(375);
  (await bench.socket(2)).accept();
  bench.sockets[1]!.lose(1013);
  assert.equal(bench.events.at(-1), "waiting 750");
  bench.clock.advance(750);
  (await bench.socket(3)).accept();
  bench.clock.advance(10_000);
  bench.sockets[2]!.lose(1013);
  assert.equal(bench.events.at(-1), "waiting 375");
});

testPure("Signaling ends after a final close, and emits the error before it", async () => {
  const bench = new Bench();
  const socket = await bench.socket(1);
  socket.open();
  socket.receive({ type: "error", code: "unauthorized", message: "The token has expired." });
  socket.lose(1008, "unauthorized");
  assert.deepEqual(bench.events, ["closed"]);
  assert.equal(bench.errors[0]!.code, "unauthorized");
  assert.equal(bench.errors[0]!.message, "The token has expired.");
  assert.equal(bench.clock.pending, 0);
  assert.throws(() => bench.signaling.send({}), { code: "closed" });
});

testPure("Signaling ends after a final error, also if the close code is lost", async () => {
  const bench = new Bench();
  const socket = await bench.socket(1);
  socket.accept();
  socket.receive({ type: "error", code: "target_not_found", message: "", target_id: "x" });
  socket.receive({ type: "error", code: "replaced", message: "" });
  socket.lose(1006);
  assert.deepEqual(bench.events, ["registered", "closed"]);
});

testPure("Signaling drops an attempt without an answer", async () => {
  const bench = new Bench();
  (await bench.socket(1)).open();
  bench.clock.advance(15_000);
  assert.deepEqual(bench.events, ["waiting 375"]);
  bench.sockets[0]!.accept(); // too late: no listener is left
  assert.equal(bench.signaling.state, "waiting");
});

testPure("Signaling tries at once when the network is back", async () => {
  const bench = new Bench();
  (await bench.socket(1)).lose(1006);
  bench.onOnline();
  (await bench.socket(2)).accept();
  assert.equal(bench.signaling.state, "registered");
  assert.equal(bench.clock.pending, 0);
});

testPure("Signaling reports a token function that fails, and tries again", async () => {
  let isBroken = true;
  const token = () => isBroken ? Promise.reject(new Error("no session")) : "t";
  const bench = new Bench({ token });
  await new Promise<void>((resolve) => bench.signaling.on("error", () => resolve()));
  assert.equal(bench.errors[0]!.code, "connect_failed");
  assert.match(bench.errors[0]!.message, /no session/);
  isBroken = false;
  bench.clock.advance(375);
  assert.equal((await bench.socket(1)).readyState, WebSocket.CONNECTING);
});

testPure("Signaling queues messages while disconnected, in order and bounded", async () => {
  const bench = new Bench();
  for (let n = 0; n < 64; n++) bench.signaling.send({ n }, "bob");
  assert.throws(() => bench.signaling.send({ n: 64 }, "bob"), {
    code: "queue_full",
    targetId: "bob",
  });
  bench.signaling.on("statechange", () => bench.signaling.send({ n: 65 }, "bob"));
  (await bench.socket(1)).accept();
  const numbers = bench.sockets[0]!.sent.slice(1).map(({ n }) => n);
  assert.deepEqual(numbers, [...Array(64).keys(), 65]);
});

testPure("send() throws if too much waits in the connection", async () => {
  const bench = new Bench();
  (await bench.socket(1)).accept();
  bench.sockets[0]!.bufferedAmount = 1024 * 1024 + 1;
  assert.throws(() => bench.signaling.send({ n: 1 }), { code: "queue_full" });
});

testPure("Signaling emits who joined and left, also while it was disconnected", async () => {
  const bench = new Bench({ presence: true });
  (await bench.socket(1)).accept({ peers: ["bob", "carol"] });
  bench.sockets[0]!.receive({ type: "peers_changed", left: ["carol"], joined: ["dave"] });
  bench.sockets[0]!.receive({ type: "peers_changed", left: ["bob"], joined: ["bob"] });
  bench.sockets[0]!.lose(1001);
  bench.clock.advance(375);
  (await bench.socket(2)).accept({ peers: ["dave", "erin"] });
  assert.deepEqual(bench.events.filter((event) => / [a-z]/.test(event)), [
    "joined bob",
    "joined carol",
    "left carol",
    "joined dave",
    "left bob",
    "joined bob",
    "left bob",
    "joined erin",
  ]);
  assert.deepEqual([...bench.signaling.peers], ["dave", "erin"]);
});

testPure("Signaling distinguishes clients' messages from the server's notices", async () => {
  const bench = new Bench();
  const messages: unknown[] = [];
  bench.signaling.on("message", (message) => void messages.push(message));
  (await bench.socket(1)).accept();
  const forged = { type: "error", code: "replaced", message: "go away", from: "mallory" };
  bench.sockets[0]!.receive(forged);
  bench.sockets[0]!.receive({
    type: "error",
    code: "target_not_found",
    message: "",
    target_id: "x",
  });
  bench.sockets[0]!.receive("[]");
  bench.sockets[0]!.receive("{");
  assert.deepEqual(messages, [forged]);
  assert.deepEqual(bench.errors.map(({ code }) => code), [
    "target_not_found",
    "bad_frame",
    "bad_frame",
  ]);
  assert.equal(bench.errors[0]!.targetId, "x");
});

testPure("Signaling.close() gives the ID up: code 1000, no secret, no more", async () => {
  let kept: string | null = "old";
  const store = { load: () => kept, save: (secret: string | null) => void (kept = secret) };
  const bench = new Bench({ resume: store });
  (await bench.socket(1)).accept({ resume: "new" });
  assert.equal(bench.sockets[0]!.sent[0]!.resume, "old");
  assert.equal(kept, "new");
  bench.signaling.close();
  assert.equal(bench.sockets[0]!.closedWith, 1000);
  assert.equal(kept, null);
  bench.onOnline();
  assert.equal(bench.clock.pending, 0);
  assert.deepEqual(bench.events, ["registered", "closed"]);
});

testPure("Signaling emits a call for a new peer's offer, and for nothing else", async () => {
  const bench = new Bench();
  const calls: string[] = [];
  bench.signaling.on("call", ({ peerId, refuse }) => {
    calls.push(peerId);
    refuse();
  });
  const socket = await bench.socket(1);
  socket.accept();
  socket.receive({ type: "candidate", candidate: "candidate:1", from: "bob" });
  socket.receive({ type: "answer", sdp: "v=0", from: "bob" });
  socket.receive({ type: "offer", sdp: { not: "text" }, from: "bob" });
  assert.deepEqual(calls, []);
  socket.receive({ type: "offer", sdp: "v=0", session: "b1", from: "bob" });
  assert.deepEqual(calls, ["bob"]);
  assert.deepEqual(socket.sent.at(-1), { type: "bye", peer_session: "b1", target_id: "bob" });
});

testPure(
  "Signaling emits one call for a repeated offer, another for another",
  async () => {
    const bench = new Bench();
    const calls: string[] = [];
    bench.signaling.on("call", ({ peerId }) => void calls.push(peerId));
    const socket = await bench.socket(1);
    socket.accept();
    const sdp = (fingerprint: string) => `v=0\r\na=fingerprint:sha-256 ${fingerprint}\r\n`;
    socket.receive({ type: "offer", sdp: sdp("AA"), from: "core" });
    socket.receive({ type: "offer", sdp: sdp("AA"), from: "core" });
    assert.equal(calls.length, 1);
    socket.receive({ type: "offer", sdp: sdp("BB"), from: "core" });
    assert.equal(calls.length, 2);
  },
);

testPure("Signaling answers bye to an offer for an unknown connection", async () => {
  const bench = new Bench();
  bench.signaling.on("call", () => assert.fail("it rang"));
  const socket = await bench.socket(1);
  socket.accept();
  const stale = { type: "offer", sdp: "v=0", session: "b1", peer_session: "a0", from: "bob" };
  socket.receive(stale);
  assert.deepEqual(socket.sent.at(-1), { type: "bye", peer_session: "b1", target_id: "bob" });
});

testPure("preventDefault() on a message keeps it from the peer connections", async () => {
  const bench = new Bench();
  bench.signaling.on("message", (_message, event) => event.preventDefault());
  bench.signaling.on("call", () => assert.fail("it rang"));
  (await bench.socket(1)).accept();
  bench.sockets[0]!.receive({ type: "offer", sdp: "v=0", from: "bob" });
  assert.equal(bench.sockets[0]!.sent.length, 1);
});

testPure("resumeIn() stores a secret, and removes it again", () => {
  const items = new Map<string, string>();
  const storage = {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key),
  };
  const store = resumeIn(storage as unknown as Storage, "call");
  assert.equal(store.load(), null);
  store.save("s");
  assert.equal(store.load(), "s");
  store.save(null);
  assert.equal(items.size, 0);
});
