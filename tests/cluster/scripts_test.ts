/** The scripts in a real Redis, for nodes that are only a name and a channel. */

import assert from "node:assert/strict";
import { systemClock } from "../../lib/clock.ts";
import { Keys, readEntry } from "../../lib/cluster/keys.ts";
import { type AnswerMessage, type BusMessage, readMessage } from "../../lib/cluster/messages.ts";
import { RedisSession } from "../../lib/cluster/redis.ts";
import { readScripts } from "../../lib/cluster/scripts.ts";
import { isRedisMissing, TestRedis } from "../helpers/redis.ts";

const KEYS = new Keys("signalbox");

const ignore = isRedisMissing();
const ROOM = "room";
const FAR_AHEAD_MS = Date.now() + 3_600_000;

interface ClaimOptions {
  readonly rule?: "replace" | "reject";
  readonly owns?: boolean;
  readonly given?: string;
  readonly fresh?: string;
  readonly deadlineMs?: number;
}

interface SendOptions {
  readonly ttlMs?: number;
  readonly maxMessages?: number;
  readonly maxBytes?: number;
  readonly isNotice?: boolean;
  readonly returnedEpoch?: number;
  readonly deadlineMs?: number;
}

/** A node, as Redis sees it. */
class FakeNode implements Disposable {
  /** Messages on its channel, and on that of the room. */
  readonly received: BusMessage[] = [];
  /** Messages of clients, which scripts do not read. */
  readonly texts: string[] = [];
  /** The numbers of the messages in the last answer. */
  numbers: readonly number[] = [];
  #count = 0;

  private constructor(readonly session: RedisSession, readonly id: string) {}

  static async join(redis: TestRedis, id: string): Promise<FakeNode> {
    const session = await RedisSession.begin(redis.url, readScripts(KEYS), systemClock);
    const node = new FakeNode(session, id);
    const listen = (text: string) => {
      const message = readMessage(text);
      if (message === null) node.texts.push(text);
      else node.received.push(message);
    };
    await session.subscribe([KEYS.nodeChannel(id), KEYS.roomChannel(ROOM)], listen);
    await session.run("heartbeat", id, 1, "single");
    return node;
  }

  /** Returns the messages since the last call. */
  async news(): Promise<BusMessage[]> {
    await this.session.run("owned", this.id); // messages published before the reply come before it
    return this.received.splice(0);
  }

  async claim(id: string, options: ClaimOptions = {}): Promise<AnswerMessage | "late"> {
    const { rule = "replace", owns = false, given = "", fresh = "" } = options;
    const { deadlineMs = FAR_AHEAD_MS } = options;
    const reply = await this.session.run(
      "claim",
      ...KEYS.mail(ROOM, id),
      ROOM,
      id,
      this.id,
      rule,
      owns ? 1 : 0,
      given,
      fresh,
      1,
      ++this.#count,
      deadlineMs,
    );
    return reply === "late" ? "late" : this.#answer();
  }

  async reclaim(
    id: string,
    epoch: number,
    claimedAtMs: number,
    { secret = "", isHeld = false } = {},
  ): Promise<AnswerMessage> {
    await this.session.run(
      "reclaim",
      ...KEYS.mail(ROOM, id),
      ROOM,
      id,
      this.id,
      epoch,
      claimedAtMs,
      secret,
      isHeld ? 1 : 0,
      ++this.#count,
      FAR_AHEAD_MS,
    );
    return this.#answer();
  }

  /** Takes the answer to the last request out of the received messages. */
  #answer(): AnswerMessage {
    const at = this.received.findIndex((message) =>
      message.kind === "answer" && message.requestId === this.#count
    );
    const answer = this.received.splice(at, 1)[0] as AnswerMessage;
    this.numbers = answer.mail.map((text) => Number(text.split(" ", 1)));
    return { ...answer, mail: answer.mail.map((text) => text.replace(/^\d+ /, "")) };
  }

  async send(id: string, text: string, options: SendOptions = {}): Promise<string> {
    const { ttlMs = 60_000, maxMessages = 64, maxBytes = 1000, isNotice = false } = options;
    const { returnedEpoch, deadlineMs = FAR_AHEAD_MS } = options;
    return await this.session.run(
      "send",
      ...KEYS.mail(ROOM, id),
      ROOM,
      id,
      text,
      `${this.id}:${++this.#count}`,
      text.length,
      isNotice ? "" : this.id,
      isNotice ? "" : "sender",
      ttlMs,
      maxMessages,
      maxBytes,
      returnedEpoch === undefined ? "" : this.id,
      returnedEpoch ?? 0,
      deadlineMs,
      1,
    ) as string;
  }

  release(id: string, epoch: number, ttlMs = 0) {
    return this.session.run("release", KEYS.ids(ROOM), ROOM, id, this.id, epoch, ttlMs);
  }

  hold(id: string, epoch: number) {
    return this.session.run("hold", KEYS.ids(ROOM), id, this.id, epoch);
  }

  async owned(): Promise<string[]> {
    const entries = await this.session.run("owned", this.id) as string[];
    return entries.map((entry) => readEntry(entry)[1]).sort();
  }

  broadcast(text: string) {
    return this.session.run("broadcast", KEYS.roomChannel(ROOM), text, FAR_AHEAD_MS);
  }

  [Symbol.dispose](): void {
    this.session.end();
  }
}

/** Defines a test with a Redis and two nodes. */
function testScripts(name: string, fn: (a: FakeNode, b: FakeNode, redis: TestRedis) => unknown) {
  Deno.test({
    name,
    ignore,
    async fn() {
      await using redis = await TestRedis.start();
      using a = await FakeNode.join(redis, "node-a");
      using b = await FakeNode.join(redis, "node-b");
      await fn(a, b, redis);
    },
  });
}

/** Claims an ID, and checks that it is granted. */
async function claim(
  node: FakeNode,
  id: string,
  options: ClaimOptions = {},
): Promise<AnswerMessage> {
  const answer = await node.claim(id, options);
  assert.ok(answer !== "late" && answer.status !== "taken", JSON.stringify(answer));
  return answer;
}

testScripts(
  "claim gives an ID to the newer connection, and notifies the older one's node and the room",
  async (a, b) => {
    const first = await claim(a, "x");
    assert.deepEqual([first.status, first.ids], ["ok", ["x"]]);
    assert.deepEqual(await b.news(), [{ kind: "join", id: "x" }]);
    await a.news();
    const second = await claim(b, "x");
    assert.ok(second.epoch > first.epoch && second.claimedAtMs >= first.claimedAtMs);
    assert.deepEqual(await a.news(), [
      { kind: "replaced", room: ROOM, id: "x", epoch: first.epoch },
      { kind: "leave", id: "x" },
      { kind: "join", id: "x" },
    ]);
    assert.deepEqual(await b.news(), [{ kind: "leave", id: "x" }, { kind: "join", id: "x" }]);
    assert.deepEqual([await a.owned(), await b.owned()], [[], ["x"]]);
  },
);

testScripts(
  "claim rejects the newer connection if the rule says so and the older one's node is alive",
  async (a, b) => {
    await claim(a, "x");
    assert.equal((await b.claim("x", { rule: "reject" }) as AnswerMessage).status, "taken");
    await a.session.run("leave", a.id);
    await claim(b, "x", { rule: "reject" });
  },
);

testScripts(
  "claim gives an ID with a secret only for that secret, or to its owner",
  async (a, b) => {
    await claim(a, "x", { fresh: "secret" });
    for (const given of ["", "other"]) {
      assert.equal((await b.claim("x", { given, fresh: "new" }) as AnswerMessage).status, "taken");
    }
    await a.session.run("leave", a.id);
    assert.equal((await b.claim("x", { fresh: "new" }) as AnswerMessage).status, "held");
    const resumed = await claim(b, "x", { given: "secret", fresh: "new" });
    assert.equal(resumed.status, "resumed");
    const owned = await claim(a, "x", { owns: true, fresh: "newest" });
    assert.equal(owned.status, "ok");
    assert.equal((await b.claim("x", { given: "secret" }) as AnswerMessage).status, "held");
    assert.equal((await claim(b, "x", { given: "newest" })).status, "resumed");
  },
);

testScripts("a script does nothing after its deadline", async (a, b) => {
  const deadlineMs = Date.now() - 60_000;
  assert.equal(await a.claim("x", { deadlineMs }), "late");
  assert.equal(await a.send("x", "1", { deadlineMs }), "late");
  assert.equal(await a.session.run("broadcast", KEYS.roomChannel(ROOM), "1", deadlineMs), "late");
  assert.deepEqual([await b.news(), await a.owned()], [[], []]);
  assert.deepEqual((await claim(b, "x")).mail, []);
});

testScripts("release and hold do nothing to a newer registration", async (a, b) => {
  const first = await claim(a, "x");
  const second = await claim(b, "x");
  await a.release("x", first.epoch);
  await b.release("x", first.epoch);
  await b.hold("x", first.epoch);
  await b.news();
  assert.equal(await a.send("x", "1"), "sent");
  await b.release("x", second.epoch);
  assert.deepEqual((await b.news()).at(-1), { kind: "leave", id: "x" });
  assert.equal(await a.send("x", "2"), "stored");
});

testScripts(
  "claim returns stored messages in order, and notifies their senders' nodes",
  async (a, b) => {
    for (const text of ["1", "2\n", '"3"', "\u00fc\u{1f4de}"]) {
      assert.equal(await a.send("x", text), "stored");
    }
    await a.news();
    const { mail } = await claim(b, "x");
    assert.deepEqual(mail, ["1", "2\n", '"3"', "\u00fc\u{1f4de}"]);
    assert.deepEqual(
      (await a.news()).filter(({ kind }) => kind === "fetched"),
      [1, 2, 3, 4].map((n) => ({ kind: "fetched", messageId: `node-a:${n}` })),
    );
    assert.deepEqual((await claim(a, "x")).mail, []);
  },
);

testScripts("send stores messages while the ID is held, or its node is dead", async (a, b) => {
  const { epoch } = await claim(b, "x", { fresh: "secret" });
  assert.equal(await a.send("x", "1"), "sent");
  await b.hold("x", epoch);
  assert.equal(await a.send("x", "2"), "stored");
  assert.deepEqual((await claim(b, "x", { given: "secret" })).mail, ["2"]);
  assert.deepEqual(b.texts, ["1"]);
  await b.session.run("leave", b.id);
  assert.equal(await a.send("x", "3"), "stored");
});

testScripts("returned messages go before all stored ones, in order", async (a, b) => {
  const { epoch } = await claim(b, "x", { fresh: "secret" });
  await b.hold("x", epoch);
  await a.send("x", "3");
  await a.send("x", "4");
  assert.equal(await b.send("x", "1", { returnedEpoch: epoch }), "stored");
  assert.equal(await b.send("x", "2", { returnedEpoch: epoch }), "stored");
  const returned = (await b.news()).filter(({ kind }) => kind === "returned");
  assert.deepEqual(returned[0], {
    kind: "returned",
    messageId: "node-b:2",
    room: ROOM,
    targetId: "x",
    senderId: "sender",
    bytes: 1,
    ttlMs: 60_000,
    expiresTogether: true,
  });
  assert.equal(returned.length, 2);
  assert.deepEqual((await claim(a, "x", { given: "secret" })).mail, ["1", "2", "3", "4"]);
  assert.deepEqual(a.numbers.slice(0, 2), [0, 0]);
});

testScripts("a returned message is not stored for a newer connection", async (a, b) => {
  const first = await claim(b, "x");
  const second = await claim(a, "x");
  assert.equal(await b.send("x", "1", { returnedEpoch: first.epoch }), "off");
  await a.release("x", second.epoch);
  assert.equal(await b.send("x", "1", { returnedEpoch: first.epoch }), "stored");
});

testScripts(
  "a message is not sent to the node that returns it",
  async (a, b) => {
    const { epoch } = await claim(b, "x");
    await b.news();
    assert.equal(await b.send("x", "1", { returnedEpoch: epoch }), "stored");
    assert.equal((await b.news()).filter((message) => message === null).length, 0);
    assert.deepEqual((await claim(a, "x")).mail, ["1"]);
  },
);

testScripts(
  "send stores messages within the bounds, and drops expired ones for that",
  async (a, b, redis) => {
    assert.equal(await a.send("x", "123456", { maxBytes: 10 }), "stored");
    assert.equal(await a.send("x", "12345", { maxBytes: 10 }), "full");
    assert.equal(await a.send("x", "1234", { maxBytes: 10 }), "stored");
    assert.equal(await a.send("x", "", { maxMessages: 2 }), "full");
    assert.equal(await a.send("y", "old", { ttlMs: 1 }), "stored");
    const [seconds, micros] = (await redis.command("TIME")).split("\n");
    const sentAtMs = Number(seconds) * 1000 + Number(micros) / 1000;
    for (let nowMs = sentAtMs; nowMs < sentAtMs + 2;) {
      const [seconds, micros] = (await redis.command("TIME")).split("\n");
      nowMs = Number(seconds) * 1000 + Number(micros) / 1000;
    }
    assert.equal(await a.send("y", "new", { maxMessages: 1, maxBytes: 3 }), "stored");
    assert.deepEqual((await claim(b, "y")).mail, ["new"]);
  },
);

testScripts("an expired message is not delivered", async (a, b, redis) => {
  await a.send("x", "old", { ttlMs: 1 });
  const sentAt = (await redis.command("TIME")).split("\n")[1];
  while ((await redis.command("TIME")).split("\n")[1]!.slice(0, 3) === sentAt!.slice(0, 3));
  assert.deepEqual((await claim(b, "x")).mail, []);
  assert.ok(!(await a.news()).some(({ kind }) => kind === "fetched"));
});

testScripts("expire takes back messages that were not fetched", async (a, b) => {
  const [, mail, size] = KEYS.mail(ROOM, "x");
  for (const text of ["1", "2", "3"]) await a.send("x", text);
  await a.session.run("expire", mail, size, "node-a:1", 1, "node-a:3", 1);
  assert.deepEqual((await claim(b, "x")).mail, ["2"]);
  await a.news();
  await a.session.run("expire", mail, size, "node-a:2", 1);
});

testScripts("stored messages and broadcasts are numbered in the order of sending", async (a, b) => {
  await a.send("x", "1");
  await a.broadcast("to all");
  await a.send("x", "2");
  await claim(b, "x");
  const [before, after] = b.numbers;
  const [, broadcast = ""] = /^(\d+) to all$/.exec(b.texts[0]!) ?? [];
  assert.ok(before! < Number(broadcast) && Number(broadcast) < after!);
});

testScripts("a stored notice is for a resumed session alone", async (a, b) => {
  assert.equal(await a.send("x", "notice", { isNotice: true }), "off");
  const { epoch } = await claim(a, "x", { fresh: "secret" });
  await a.hold("x", epoch);
  assert.equal(await b.send("x", "notice", { isNotice: true }), "stored");
  assert.deepEqual((await claim(b, "x", { given: "secret" })).mail, ["notice"]);
  await b.hold("x", (await claim(b, "x", { given: "secret" })).epoch);
  assert.equal(await a.send("x", "notice", { isNotice: true }), "stored");
  assert.deepEqual((await claim(a, "x", { owns: true })).mail, []);
});

testScripts("reclaim restores an ID that Redis has lost", async (a, b) => {
  await a.send("x", "1");
  await a.news();
  const answer = await b.reclaim("x", 17, 1000);
  assert.deepEqual([answer.status, answer.mail], ["ok", ["1"]]);
  assert.deepEqual((await a.news()).map(({ kind }) => kind), ["join", "fetched"]);
  assert.deepEqual(await b.owned(), ["x"]);
  const again = await b.reclaim("x", answer.epoch, 1000);
  assert.equal(again.epoch, answer.epoch);
});

testScripts("reclaim returns the mail of a held ID, which its node sends back", async (a, b) => {
  await a.send("x", "1");
  const { mail, epoch } = await b.reclaim("x", 0, 1000, { secret: "s", isHeld: true });
  assert.deepEqual(mail, ["1"]);
  assert.equal(await a.send("x", "2"), "stored");
  assert.equal(await b.send("x", "1", { returnedEpoch: epoch }), "stored");
  assert.deepEqual((await claim(a, "x", { given: "s" })).mail, ["1", "2"]);
});

testScripts("reclaim gives an ID to the newer claim, in any order", async (a, b) => {
  assert.equal((await a.reclaim("x", 0, 1000)).status, "ok");
  assert.equal((await b.reclaim("x", 0, 2000)).status, "ok");
  assert.equal((await a.news()).at(-1)?.kind, "replaced");
  assert.equal((await a.reclaim("x", 0, 1000)).status, "lost");
  assert.equal((await b.reclaim("x", 0, 1500)).status, "ok", "a node may reclaim its own ID");
  const same = [await a.reclaim("y", 0, 1000), await b.reclaim("y", 0, 1000)];
  const again = await a.reclaim("y", same[0]!.epoch, 1000);
  assert.deepEqual([...same, again].map(({ status }) => status), ["ok", "ok", "lost"]);
});

testScripts(
  "reclaim takes back an ID that Redis holds for a node declared dead",
  async (a, b) => {
    const { epoch, claimedAtMs } = await claim(a, "x", { fresh: "secret" });
    await a.session.run("leave", a.id);
    while (await b.session.run("reap", a.id, 60_000) !== 0);
    assert.deepEqual(await a.owned(), []);
    await a.session.run("heartbeat", a.id, 1, "single");
    assert.equal((await a.reclaim("x", epoch, claimedAtMs, { secret: "secret" })).status, "ok");
    assert.equal(await b.send("x", "1"), "sent");
  },
);

testScripts(
  "reap removes a dead node's clients, and holds IDs that may be resumed",
  async (a, b) => {
    for (let n = 0; n < 500; n++) await claim(a, `plain ${n}`);
    await claim(a, "resumable", { fresh: "secret" });
    assert.equal(await b.session.run("reap", a.id, 60_000), 0);
    await a.session.run("leave", a.id);
    await b.news();
    while (await b.session.run("reap", a.id, 60_000) !== 0);
    const left = (await b.news()).filter(({ kind }) => kind === "leave");
    assert.equal(left.length, 500);
    assert.deepEqual(await a.owned(), []);
    const [, , dead] = await b.session.run("heartbeat", b.id, 0, "single") as [
      number,
      number,
      string[],
    ];
    assert.deepEqual(dead, []);
    assert.equal(await b.send("resumable", "1"), "stored");
    const resumed = await claim(b, "resumable", { given: "secret" });
    assert.deepEqual([resumed.status, resumed.mail], ["resumed", ["1"]]);
  },
);

testScripts("an ID with a secret of the client's own is never held", async (a, b) => {
  const { epoch } = await claim(a, "x", { given: "=own", fresh: "=own" });
  assert.deepEqual(await b.claim("x", { given: "=other", fresh: "=other" }), {
    ...(await b.claim("x", { given: "", fresh: "" }) as AnswerMessage),
    requestId: 1,
    status: "taken",
  });
  await a.release("x", epoch, 60_000);
  await claim(b, "x", { given: "=other", fresh: "=other" });
  await claim(a, "y", { given: "=own", fresh: "=own" });
  await claim(a, "z", { given: "=own", fresh: "=own" });
  await a.session.run("leave", a.id);
  assert.equal((await claim(b, "y", { given: "=other", fresh: "=other" })).status, "ok");
  while (await b.session.run("reap", a.id, 60_000) !== 0);
  assert.ok((await b.news()).some((message) => message.kind === "leave" && message.id === "z"));
  assert.equal((await claim(b, "z", { fresh: "secret" })).status, "ok");
});

testScripts("heartbeat makes a node known only at the start of a session", async (a, b) => {
  await claim(a, "x");
  await a.session.run("leave", a.id);
  const [, known] = await a.session.run("heartbeat", a.id, 0, "single") as [number, number];
  assert.equal(known, 0);
  assert.equal(await b.send("x", "1"), "stored");
  await a.session.run("heartbeat", a.id, 1, "single");
  assert.equal(await b.send("x", "2"), "sent");
});

testScripts("heartbeat ends held IDs that have expired", async (a, b, redis) => {
  await claim(a, "plain");
  const { epoch } = await claim(a, "x", { fresh: "secret" });
  await a.release("x", epoch, 1);
  for (let ended = false; !ended;) {
    await b.session.run("heartbeat", b.id, 0, "single");
    ended = (await b.news()).some((message) => message.kind === "leave" && message.id === "x");
  }
  assert.equal(await redis.command("ZCARD", "signalbox:held"), "0");
  assert.equal((await claim(b, "x", { given: "secret", fresh: "new" })).status, "ok");
});

testScripts("heartbeat does not end an ID that was resumed", async (a, b, redis) => {
  const { epoch } = await claim(a, "x", { fresh: "secret" });
  await a.release("x", epoch, 60_000);
  assert.equal(await redis.command("ZCARD", "signalbox:held"), "1");
  await claim(b, "x", { given: "secret" });
  assert.equal(await redis.command("ZCARD", "signalbox:held"), "0");
});

testScripts("forget ends a registration of the given node alone", async (a, b) => {
  await claim(a, "x");
  await claim(a, "y");
  await b.session.run("forget", KEYS.ids(ROOM), ROOM, "x", b.id);
  assert.deepEqual(await a.owned(), ["x", "y"]);
  await a.session.run("forget", KEYS.ids(ROOM), ROOM, "x", a.id);
  assert.deepEqual(await a.owned(), ["y"]);
  assert.equal(await b.send("x", "1"), "stored");
});

testScripts("Redis is empty after all clients and nodes have left", async (a, b, redis) => {
  const { epoch: one } = await claim(a, "x", { fresh: "secret" });
  await a.hold("x", one);
  await b.send("x", "1");
  const { epoch: two } = await claim(b, "x", { given: "secret" });
  await b.release("x", two);
  for (const node of [a, b]) await node.session.run("leave", node.id);
  await a.session.run("reap", a.id, 0);
  await a.session.run("reap", b.id, 0);
  const keys = (await redis.command("KEYS", "*")).split("\n");
  assert.deepEqual(keys.toSorted(), ["signalbox:count", "signalbox:list"]);
});
