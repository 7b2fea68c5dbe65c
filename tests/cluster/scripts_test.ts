/** The scripts in a real Redis, for nodes that are only a name and a channel. One Redis serves all tests. */

import assert from "node:assert/strict";
import { systemClock } from "../../lib/clock.ts";
import { Keys, readEntry } from "../../lib/cluster/keys.ts";
import {
  readScriptMessage,
  type ResponseMessage,
  type ScriptMessage,
} from "../../lib/cluster/messages.ts";
import { RedisSession } from "../../lib/cluster/redis.ts";
import { readScripts } from "../../lib/cluster/scripts.ts";
import { isRedisMissing, TestRedis } from "../helpers/redis.ts";

const KEYS = new Keys("signalbox");
const ROOM = "room";
const FAR_AHEAD_MS = Date.now() + 3_600_000;

interface ClaimOptions {
  readonly rule?: "replace" | "reject";
  readonly owns?: boolean;
  readonly given?: string;
  readonly fresh?: string;
  readonly deadlineMs?: number;
}

/** A node, as Redis sees it. */
class FakeNode implements Disposable {
  /** Messages on its channel, on that of the room, and on that of all nodes. */
  readonly received: ScriptMessage[] = [];
  #session: RedisSession | null = null;
  #count = 0;

  private constructor(readonly id: string) {}

  static async join(redis: TestRedis, id: string): Promise<FakeNode> {
    const node = new FakeNode(id);
    const listen = (text: string) => node.received.push(readScriptMessage(text)!);
    node.#session = await RedisSession.begin(redis.url, readScripts(KEYS), systemClock, listen);
    await node.session.subscribe([KEYS.nodeChannel(id), KEYS.roomChannel(ROOM), KEYS.nodes]);
    await node.session.run("heartbeat", id, 1, "single");
    return node;
  }

  get session(): RedisSession {
    return this.#session!;
  }

  /** Returns the messages since the last call, in short. */
  async news(): Promise<string[]> {
    await this.session.run("owned", this.id); // messages published before the reply come before it
    return this.received.splice(0).map((message) => {
      if (message.kind === "response") return message.status;
      return "id" in message
        ? `${message.kind} ${message.id} ${message.node}`
        : `${message.kind} ${message.node}`;
    });
  }

  async claim(id: string, options: ClaimOptions = {}): Promise<ResponseMessage | "late"> {
    const { rule = "replace", owns = false, given = "", fresh = "" } = options;
    const { deadlineMs = FAR_AHEAD_MS } = options;
    const reply = await this.session.run(
      "claim",
      KEYS.ids(ROOM),
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
    return reply === "late" ? "late" : this.#response();
  }

  async reclaim(
    id: string,
    epoch: number,
    claimedAtMs: number,
    { secret = "", isHeld = false } = {},
  ): Promise<ResponseMessage> {
    await this.session.run(
      "reclaim",
      KEYS.ids(ROOM),
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
    return this.#response();
  }

  async members(): Promise<ResponseMessage["members"]> {
    await this.session.run("members", KEYS.ids(ROOM), this.id, "0", ++this.#count);
    return this.#response().members;
  }

  /** Takes the response to the last request out of the received messages. */
  #response(): ResponseMessage {
    const at = this.received.findIndex((message) =>
      message.kind === "response" && message.requestId === this.#count
    );
    return this.received.splice(at, 1)[0] as ResponseMessage;
  }

  release(id: string, epoch: number, ttlMs = 0) {
    return this.session.run("release", KEYS.ids(ROOM), ROOM, id, this.id, epoch, ttlMs);
  }

  hold(id: string, epoch: number) {
    return this.session.run("hold", KEYS.ids(ROOM), ROOM, id, this.id, epoch);
  }

  async reap(ttlMs = 60_000): Promise<void> {
    while (await this.session.run("reap", this.id, ttlMs) !== 0);
  }

  leave() {
    return this.session.run("leave", this.id);
  }

  async owned(): Promise<string[]> {
    const entries = await this.session.run("owned", this.id) as string[];
    return entries.map((entry) => readEntry(entry)[1]).sort();
  }

  [Symbol.dispose](): void {
    this.session.end();
  }
}

/** Claims an ID, and checks that it is granted. */
async function claim(node: FakeNode, id: string, options: ClaimOptions = {}) {
  const response = await node.claim(id, options);
  assert.ok(
    response !== "late" && ["ok", "resumed"].includes(response.status),
    JSON.stringify(response),
  );
  return response;
}

type Test = (a: FakeNode, b: FakeNode, redis: TestRedis) => unknown;

const TESTS: Readonly<Record<string, Test>> = {
  async "claim gives an ID to the newer connection, and publishes that in the room"(a, b) {
    const first = await claim(a, "x");
    assert.deepEqual(first.members, [["x", {
      node: "node-a",
      epoch: first.epoch,
      isHeld: false,
    }]]);
    assert.deepEqual(await b.news(), ["joined x node-a"]);
    const second = await claim(b, "x");
    assert.ok(second.epoch > first.epoch && second.claimedAtMs >= first.claimedAtMs);
    assert.deepEqual(await a.news(), ["joined x node-a", "left x node-a", "joined x node-b"]);
    assert.deepEqual([await a.owned(), await b.owned()], [[], ["x"]]);
  },

  async "claim rejects the newer connection if the rule says so and the older one's node is alive"(
    a,
    b,
  ) {
    await claim(a, "x");
    assert.equal((await b.claim("x", { rule: "reject" }) as ResponseMessage).status, "taken");
    await a.leave();
    await claim(b, "x", { rule: "reject" });
  },

  async "claim gives an ID with a secret only for that secret, or to its owner"(a, b) {
    await claim(a, "x", { fresh: "secret" });
    for (const given of ["", "other"]) {
      assert.equal(
        (await b.claim("x", { given, fresh: "new" }) as ResponseMessage).status,
        "taken",
      );
    }
    await a.leave();
    assert.equal((await b.claim("x", { fresh: "new" }) as ResponseMessage).status, "held");
    await b.news();
    assert.equal((await claim(b, "x", { given: "secret", fresh: "new" })).status, "resumed");
    assert.deepEqual(await b.news(), ["resumed x node-b"]);
    assert.equal((await claim(a, "x", { owns: true, fresh: "newest" })).status, "ok");
    assert.equal((await b.claim("x", { given: "secret" }) as ResponseMessage).status, "held");
    assert.equal((await claim(b, "x", { given: "newest" })).status, "resumed");
  },

  async "a script does nothing after its deadline"(a, b) {
    assert.equal(await a.claim("x", { deadlineMs: Date.now() - 60_000 }), "late");
    assert.deepEqual([await b.news(), await a.owned()], [[], []]);
  },

  async "release and hold do nothing to a newer registration"(a, b) {
    const first = await claim(a, "x", { fresh: "secret" });
    const second = await claim(b, "x", { given: "secret" });
    await a.release("x", first.epoch);
    await b.release("x", first.epoch);
    await b.hold("x", first.epoch);
    assert.deepEqual((await b.news()).slice(2), []);
    await b.hold("x", second.epoch);
    await b.release("x", second.epoch);
    assert.deepEqual(await b.news(), ["held x node-b", "left x node-b"]);
  },

  async "claim responds with no members if these are too many"(a, b) {
    for (let n = 0; n < 501; n++) await claim(a, `id ${n}`).catch(() => {});
    assert.equal((await b.claim("x") as ResponseMessage).status, "large");
    assert.deepEqual(await b.owned(), []);
  },

  async "reclaim restores an ID that Redis has lost, with a new epoch"(a, b, redis) {
    const { epoch, claimedAtMs } = await claim(a, "x", { fresh: "secret" });
    await redis.command("FLUSHALL");
    const again = await a.reclaim("x", epoch, claimedAtMs, { secret: "secret", isHeld: true });
    assert.ok(again.status === "ok" && again.epoch > epoch);
    assert.deepEqual(await b.news(), ["joined x node-a", "joined x node-a", "held x node-a"]);
    assert.ok((await claim(b, "y")).epoch > again.epoch);
    assert.equal((await claim(b, "x", { given: "secret" })).status, "resumed");
  },

  async "reclaim gives an ID to the newer claim, in any order"(a, b) {
    assert.equal((await a.reclaim("x", 0, 1000)).status, "ok");
    assert.equal((await b.reclaim("x", 0, 2000)).status, "ok");
    assert.deepEqual((await a.news()).at(-1), "joined x node-b");
    assert.equal((await a.reclaim("x", 0, 1000)).status, "lost");
    const same = [await a.reclaim("y", 0, 1000), await b.reclaim("y", 0, 1000)];
    const again = await a.reclaim("y", same[0]!.epoch, 1000);
    assert.deepEqual([...same, again].map(({ status }) => status), ["ok", "ok", "lost"]);
    const first = await claim(a, "z", { fresh: "secret" });
    await claim(b, "z", { given: "secret" });
    const lost = await a.reclaim("z", first.epoch, first.claimedAtMs - 1, { secret: "secret" });
    assert.deepEqual([lost.status, lost.hasMoved], ["lost", true]);
  },

  async "reclaim takes back an ID that Redis holds for a node declared dead"(a, b) {
    const { epoch, claimedAtMs } = await claim(a, "x", { fresh: "secret" });
    await a.leave();
    await b.reap();
    assert.deepEqual(await a.owned(), []);
    await b.news();
    await a.session.run("heartbeat", a.id, 1, "single");
    const again = await a.reclaim("x", epoch, claimedAtMs, { secret: "secret" });
    assert.ok(again.status === "ok" && again.epoch > epoch);
    assert.deepEqual(await b.news(), ["resumed x node-a"]);
  },

  async "reap removes a dead node's clients, and holds IDs that may be resumed"(a, b, redis) {
    for (let n = 0; n < 100; n++) await claim(a, `plain ${n}`);
    await claim(a, "resumable", { fresh: "secret" });
    assert.equal(await b.session.run("reap", b.id, 60_000), 0);
    await a.leave();
    assert.equal(await a.session.run("reap", a.id, 60_000), 0, "another node is at it");
    await b.news();
    await b.reap();
    const news = await b.news();
    assert.equal(news.filter((line) => line.startsWith("left")).length, 100);
    assert.ok(news.includes("held resumable "));
    assert.equal(news.at(-1), "node_dead node-a");
    assert.deepEqual(await a.owned(), []);
    assert.equal(await redis.command("ZCARD", KEYS.nodes), "1");
    assert.equal((await claim(b, "resumable", { given: "secret" })).status, "resumed");
    assert.equal(await redis.command("ZCARD", KEYS.held), "0");
  },

  async "an ID is free at the end of the time for which Redis holds it, and reap ends it"(a, b) {
    const held = await claim(a, "x", { fresh: "secret" });
    const other = await claim(a, "y", { fresh: "secret" });
    await a.release("y", other.epoch, 1);
    await a.release("x", held.epoch, 1); // last, so that y is free as soon as x is
    while ((await b.claim("x", { fresh: "new" }) as ResponseMessage).status !== "ok");
    await b.news();
    await b.reap();
    assert.deepEqual(await b.news(), ["left y "]);
  },

  async "an ID with a secret of the client's own is never held"(a, b) {
    const { epoch } = await claim(a, "x", { given: "=own", fresh: "=own" });
    for (const given of ["=other", ""]) {
      assert.equal(
        (await b.claim("x", { given, fresh: given }) as ResponseMessage).status,
        "taken",
      );
    }
    await a.release("x", epoch, 60_000);
    await claim(b, "x", { given: "=other", fresh: "=other" });
    await claim(a, "y", { given: "=own", fresh: "=own" });
    await a.leave();
    assert.equal((await claim(b, "y", { given: "=other", fresh: "=other" })).status, "ok");
  },

  async "heartbeat makes a node known only at the start of a session, and with the same list"(
    a,
    b,
  ) {
    await a.leave();
    const [, known] = await a.session.run("heartbeat", a.id, 0, "single") as [number, number];
    assert.equal(known, 0);
    assert.equal(await a.session.run("heartbeat", a.id, 1, "other"), "refused");
    await b.leave();
    assert.notEqual(await a.session.run("heartbeat", a.id, 1, "other"), "refused");
  },

  async "forget ends a registration of the given node alone"(a, b) {
    await claim(a, "x");
    await claim(a, "y");
    await b.session.run("forget", KEYS.ids(ROOM), ROOM, "x", b.id);
    assert.deepEqual(await a.owned(), ["x", "y"]);
    await a.session.run("forget", KEYS.ids(ROOM), ROOM, "x", a.id);
    assert.deepEqual([await a.owned(), (await b.members()).length], [["y"], 1]);
  },

  async "Redis is empty after all clients and nodes have left"(a, b, redis) {
    const { epoch: one } = await claim(a, "x", { fresh: "secret" });
    await a.hold("x", one);
    const { epoch: two } = await claim(b, "x", { given: "secret" });
    await b.release("x", two);
    for (const node of [a, b]) await node.leave();
    await a.reap(0);
    const keys = (await redis.command("KEYS", "*")).split("\n");
    assert.deepEqual(keys.toSorted(), [KEYS.count, KEYS.list, KEYS.reaper]);
  },
};

Deno.test({
  name: "scripts",
  ignore: isRedisMissing(),
  async fn(t) {
    await using redis = await TestRedis.start();
    for (const [name, test] of Object.entries(TESTS)) {
      await t.step(name, async () => {
        await redis.command("FLUSHALL");
        using a = await FakeNode.join(redis, "node-a");
        using b = await FakeNode.join(redis, "node-b");
        await test(a, b, redis);
      });
    }
  },
});
