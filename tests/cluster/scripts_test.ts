/** What Redis decides, step by step, for nodes that are no more than a name and a channel. */

import assert from "node:assert/strict";
import { systemClock } from "../../lib/clock.ts";
import { idsKey, mailKeys, nodeChannel, readEntry, roomChannel } from "../../lib/cluster/keys.ts";
import { type AnswerMessage, type BusMessage, readMessage } from "../../lib/cluster/messages.ts";
import { RedisSession } from "../../lib/cluster/redis.ts";
import { readScripts } from "../../lib/cluster/scripts.ts";
import { isRedisMissing, TestRedis } from "../helpers/redis.ts";

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
  readonly isReport?: boolean;
  readonly returnedEpoch?: number;
  readonly deadlineMs?: number;
}

/** A node, as Redis sees it. */
class FakeNode implements Disposable {
  /** What has come on its channel, and on that of the room. */
  readonly heard: BusMessage[] = [];
  /** What other nodes have sent; scripts do not look into it. */
  readonly frames: string[] = [];
  /** What stood before the messages in the last answer. */
  numbers: readonly number[] = [];
  #count = 0;

  private constructor(readonly session: RedisSession, readonly id: string) {}

  static async join(redis: TestRedis, id: string): Promise<FakeNode> {
    const session = await RedisSession.begin(redis.url, readScripts(), systemClock);
    const node = new FakeNode(session, id);
    const listen = (text: string) => {
      const message = readMessage(text);
      if (message === null) node.frames.push(text);
      else node.heard.push(message);
    };
    await session.subscribe([nodeChannel(id), roomChannel(ROOM)], listen);
    await session.run("heartbeat", id, 1);
    return node;
  }

  /** What it has heard since this was last asked. */
  async news(): Promise<BusMessage[]> {
    await this.session.run("owned", this.id); // what was published before its reply has come before it
    return this.heard.splice(0);
  }

  async claim(id: string, options: ClaimOptions = {}): Promise<AnswerMessage | "late"> {
    const { rule = "replace", owns = false, given = "", fresh = "" } = options;
    const { deadlineMs = FAR_AHEAD_MS } = options;
    const reply = await this.session.run(
      "claim",
      ...mailKeys(ROOM, id),
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
    claim: number,
    claimedAtMs: number,
    { secret = "", isHeld = false } = {},
  ): Promise<AnswerMessage> {
    await this.session.run(
      "reclaim",
      ...mailKeys(ROOM, id),
      ROOM,
      id,
      this.id,
      claim,
      claimedAtMs,
      secret,
      isHeld ? 1 : 0,
      ++this.#count,
      FAR_AHEAD_MS,
    );
    return this.#answer();
  }

  /** Takes the answer to the last requestId out of what was heard. */
  #answer(): AnswerMessage {
    const at = this.heard.findIndex((message) =>
      message.kind === "answer" && message.requestId === this.#count
    );
    const answer = this.heard.splice(at, 1)[0] as AnswerMessage;
    this.numbers = answer.mail.map((text) => Number(text.split(" ", 1)));
    return { ...answer, mail: answer.mail.map((text) => text.replace(/^\d+ /, "")) };
  }

  async send(id: string, frame: string, options: SendOptions = {}): Promise<string> {
    const { ttlMs = 60_000, maxMessages = 64, maxBytes = 1000, isReport = false } = options;
    const { returnedEpoch, deadlineMs = FAR_AHEAD_MS } = options;
    return await this.session.run(
      "send",
      ...mailKeys(ROOM, id),
      ROOM,
      id,
      frame,
      `${this.id}:${++this.#count}`,
      frame.length,
      isReport ? "" : this.id,
      isReport ? "" : "sender",
      ttlMs,
      maxMessages,
      maxBytes,
      returnedEpoch === undefined ? "" : this.id,
      returnedEpoch ?? 0,
      deadlineMs,
      1,
    ) as string;
  }

  release(id: string, claim: number, ttlMs = 0) {
    return this.session.run("release", idsKey(ROOM), ROOM, id, this.id, claim, ttlMs);
  }

  hold(id: string, claim: number) {
    return this.session.run("hold", idsKey(ROOM), id, this.id, claim);
  }

  async owned(): Promise<string[]> {
    const entries = await this.session.run("owned", this.id) as string[];
    return entries.map((entry) => readEntry(entry)[1]).sort();
  }

  broadcast(text: string) {
    return this.session.run("broadcast", roomChannel(ROOM), text, FAR_AHEAD_MS);
  }

  [Symbol.dispose](): void {
    this.session.end();
  }
}

/** A test with a Redis and two nodes. */
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

/** The claim that must have been granted. */
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
  "claim gives an ID to the newer, and tells the older's node and the room",
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
  "claim rejects the newer where the rule says so, if the older's node lives",
  async (a, b) => {
    await claim(a, "x");
    assert.equal((await b.claim("x", { rule: "reject" }) as AnswerMessage).status, "taken");
    await a.session.run("leave", a.id);
    await claim(b, "x", { rule: "reject" });
  },
);

testScripts("claim gives an ID with a secret only against it, or to its owner", async (a, b) => {
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
});

testScripts("nothing is done that comes late", async (a, b) => {
  const deadlineMs = Date.now() - 60_000;
  assert.equal(await a.claim("x", { deadlineMs }), "late");
  assert.equal(await a.send("x", "1", { deadlineMs }), "late");
  assert.equal(await a.session.run("broadcast", roomChannel(ROOM), "1", deadlineMs), "late");
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
  "what was kept comes in order with the claim, and its senders' nodes hear of it",
  async (a, b) => {
    for (const frame of ["1", "2\n", '"3"', "\u00fc\u{1f4de}"]) {
      assert.equal(await a.send("x", frame), "stored");
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

testScripts("messages are kept while the ID is held, or its node is gone", async (a, b) => {
  const { epoch: number } = await claim(b, "x", { fresh: "secret" });
  assert.equal(await a.send("x", "1"), "sent");
  await b.hold("x", number);
  assert.equal(await a.send("x", "2"), "stored");
  assert.deepEqual((await claim(b, "x", { given: "secret" })).mail, ["2"]);
  assert.deepEqual(b.frames, ["1"]);
  await b.session.run("leave", b.id);
  assert.equal(await a.send("x", "3"), "stored");
});

testScripts("what comes back goes before all that is kept, in order", async (a, b) => {
  const { epoch: number } = await claim(b, "x", { fresh: "secret" });
  await b.hold("x", number);
  await a.send("x", "3");
  await a.send("x", "4");
  assert.equal(await b.send("x", "1", { returnedEpoch: number }), "stored");
  assert.equal(await b.send("x", "2", { returnedEpoch: number }), "stored");
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

testScripts("what comes back is not kept for a connection that is newer than it", async (a, b) => {
  const first = await claim(b, "x");
  const second = await claim(a, "x");
  assert.equal(await b.send("x", "1", { returnedEpoch: first.epoch }), "off");
  await a.release("x", second.epoch);
  assert.equal(await b.send("x", "1", { returnedEpoch: first.epoch }), "stored");
});

testScripts(
  "what comes back from a node that is losing its client is not sent there again",
  async (a, b) => {
    const { epoch: number } = await claim(b, "x");
    await b.news();
    assert.equal(await b.send("x", "1", { returnedEpoch: number }), "stored");
    assert.equal((await b.news()).filter((message) => message === null).length, 0);
    assert.deepEqual((await claim(a, "x")).mail, ["1"]);
  },
);

testScripts(
  "no more is kept than the bounds allow, but what is too old makes room",
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

testScripts("what is too old is not delivered", async (a, b, redis) => {
  await a.send("x", "old", { ttlMs: 1 });
  const sentAt = (await redis.command("TIME")).split("\n")[1];
  while ((await redis.command("TIME")).split("\n")[1]!.slice(0, 3) === sentAt!.slice(0, 3));
  assert.deepEqual((await claim(b, "x")).mail, []);
  assert.ok(!(await a.news()).some(({ kind }) => kind === "fetched"));
});

testScripts("expire takes messages back that were not fetched", async (a, b) => {
  const [, mail, size] = mailKeys(ROOM, "x");
  for (const text of ["1", "2", "3"]) await a.send("x", text);
  await a.session.run("expire", mail, size, "node-a:1", 1, "node-a:3", 1);
  assert.deepEqual((await claim(b, "x")).mail, ["2"]);
  await a.news();
  await a.session.run("expire", mail, size, "node-a:2", 1);
});

testScripts("what is kept and what goes to all is numbered as it was sent", async (a, b) => {
  await a.send("x", "1");
  await a.broadcast("to all");
  await a.send("x", "2");
  await claim(b, "x");
  const [before, after] = b.numbers;
  const [, broadcast = ""] = /^(\d+) to all$/.exec(b.frames[0]!) ?? [];
  assert.ok(before! < Number(broadcast) && Number(broadcast) < after!);
});

testScripts("what the server has to say is for the same client alone", async (a, b) => {
  assert.equal(await a.send("x", "report", { isReport: true }), "off");
  const { epoch: number } = await claim(a, "x", { fresh: "secret" });
  await a.hold("x", number);
  assert.equal(await b.send("x", "report", { isReport: true }), "stored");
  assert.deepEqual((await claim(b, "x", { given: "secret" })).mail, ["report"]);
  await b.hold("x", (await claim(b, "x", { given: "secret" })).epoch);
  assert.equal(await a.send("x", "report", { isReport: true }), "stored");
  assert.deepEqual((await claim(a, "x", { owns: true })).mail, []);
});

testScripts("reclaim makes an ID known again to a Redis that has lost it", async (a, b) => {
  await a.send("x", "1");
  await a.news();
  const answer = await b.reclaim("x", 17, 1000);
  assert.deepEqual([answer.status, answer.mail], ["ok", ["1"]]);
  assert.deepEqual((await a.news()).map(({ kind }) => kind), ["join", "fetched"]);
  assert.deepEqual(await b.owned(), ["x"]);
  const again = await b.reclaim("x", answer.epoch, 1000);
  assert.equal(again.epoch, answer.epoch);
});

testScripts("reclaim hands out the mail of a held ID, and it comes back", async (a, b) => {
  await a.send("x", "1");
  const { mail, epoch: number } = await b.reclaim("x", 0, 1000, { secret: "s", isHeld: true });
  assert.deepEqual(mail, ["1"]);
  assert.equal(await a.send("x", "2"), "stored");
  assert.equal(await b.send("x", "1", { returnedEpoch: number }), "stored");
  assert.deepEqual((await claim(a, "x", { given: "s" })).mail, ["1", "2"]);
});

testScripts("of two that reclaim an ID the newer has it, whoever is first", async (a, b) => {
  assert.equal((await a.reclaim("x", 0, 1000)).status, "ok");
  assert.equal((await b.reclaim("x", 0, 2000)).status, "ok");
  assert.equal((await a.news()).at(-1)?.kind, "replaced");
  assert.equal((await a.reclaim("x", 0, 1000)).status, "lost");
  assert.equal((await b.reclaim("x", 0, 1500)).status, "ok", "a node knows best of its own");
  const same = [await a.reclaim("y", 0, 1000), await b.reclaim("y", 0, 1000)];
  const again = await a.reclaim("y", same[0]!.epoch, 1000);
  assert.deepEqual([...same, again].map(({ status }) => status), ["ok", "ok", "lost"]);
});

testScripts(
  "reclaim gets back what Redis holds for a node that was taken for dead",
  async (a, b) => {
    const { epoch: number, claimedAtMs } = await claim(a, "x", { fresh: "secret" });
    await a.session.run("leave", a.id);
    while (await b.session.run("reap", a.id, 60_000) !== 0);
    assert.deepEqual(await a.owned(), []);
    await a.session.run("heartbeat", a.id, 1);
    assert.equal((await a.reclaim("x", number, claimedAtMs, { secret: "secret" })).status, "ok");
    assert.equal(await b.send("x", "1"), "sent");
  },
);

testScripts(
  "reap clears a dead node's clients away, and holds those that may be resumed",
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
    const [, , dead] = await b.session.run("heartbeat", b.id, 0) as [number, number, string[]];
    assert.deepEqual(dead, []);
    assert.equal(await b.send("resumable", "1"), "stored");
    const resumed = await claim(b, "resumable", { given: "secret" });
    assert.deepEqual([resumed.status, resumed.mail], ["resumed", ["1"]]);
  },
);

testScripts("a secret of the client's own is never held", async (a, b) => {
  const { epoch: number } = await claim(a, "x", { given: "=own", fresh: "=own" });
  assert.deepEqual(await b.claim("x", { given: "=other", fresh: "=other" }), {
    ...(await b.claim("x", { given: "", fresh: "" }) as AnswerMessage),
    requestId: 1,
    status: "taken",
  });
  await a.release("x", number, 60_000);
  await claim(b, "x", { given: "=other", fresh: "=other" });
  await claim(a, "y", { given: "=own", fresh: "=own" });
  await claim(a, "z", { given: "=own", fresh: "=own" });
  await a.session.run("leave", a.id);
  assert.equal((await claim(b, "y", { given: "=other", fresh: "=other" })).status, "ok");
  while (await b.session.run("reap", a.id, 60_000) !== 0);
  assert.ok((await b.news()).some((message) => message.kind === "leave" && message.id === "z"));
  assert.equal((await claim(b, "z", { fresh: "secret" })).status, "ok");
});

testScripts("a heartbeat brings nobody back but at the start of a session", async (a, b) => {
  await claim(a, "x");
  await a.session.run("leave", a.id);
  const [, known] = await a.session.run("heartbeat", a.id, 0) as [number, number];
  assert.equal(known, 0);
  assert.equal(await b.send("x", "1"), "stored");
  await a.session.run("heartbeat", a.id, 1);
  assert.equal(await b.send("x", "2"), "sent");
});

testScripts("a heartbeat ends what Redis has held for long enough", async (a, b, redis) => {
  await claim(a, "plain");
  const { epoch: number } = await claim(a, "x", { fresh: "secret" });
  await a.release("x", number, 1);
  for (let ended = false; !ended;) {
    await b.session.run("heartbeat", b.id, 0);
    ended = (await b.news()).some((message) => message.kind === "leave" && message.id === "x");
  }
  assert.equal(await redis.command("ZCARD", "signalbox:held"), "0");
  assert.equal((await claim(b, "x", { given: "secret", fresh: "new" })).status, "ok");
});

testScripts("a heartbeat does not end what has been resumed", async (a, b, redis) => {
  const { epoch: number } = await claim(a, "x", { fresh: "secret" });
  await a.release("x", number, 60_000);
  assert.equal(await redis.command("ZCARD", "signalbox:held"), "1");
  await claim(b, "x", { given: "secret" });
  assert.equal(await redis.command("ZCARD", "signalbox:held"), "0");
});

testScripts("forget ends what a node has not registered, and nothing of others", async (a, b) => {
  await claim(a, "x");
  await claim(a, "y");
  await b.session.run("forget", idsKey(ROOM), ROOM, "x", b.id);
  assert.deepEqual(await a.owned(), ["x", "y"]);
  await a.session.run("forget", idsKey(ROOM), ROOM, "x", a.id);
  assert.deepEqual(await a.owned(), ["y"]);
  assert.equal(await b.send("x", "1"), "stored");
});

testScripts("nothing is left in Redis when all have left", async (a, b, redis) => {
  const { epoch: one } = await claim(a, "x", { fresh: "secret" });
  await a.hold("x", one);
  await b.send("x", "1");
  const { epoch: two } = await claim(b, "x", { given: "secret" });
  await b.release("x", two);
  for (const node of [a, b]) await node.session.run("leave", node.id);
  await a.session.run("reap", a.id, 0);
  await a.session.run("reap", b.id, 0);
  assert.equal(await redis.command("KEYS", "*"), "signalbox:count");
});
