/** Each message that Redis stores ends once: it is fetched or reported. */

import assert from "node:assert/strict";
import { type StoredMessage, StoredMessages } from "../../lib/cluster/stored_messages.ts";
import { costOf } from "../../lib/relay/mailbox.ts";
import { FakeClock } from "../helpers/clock.ts";
import { testPure } from "../helpers/pure.ts";

const TTL_MS = 10_000;
const UNCONFIRMED_MS = 6000;

/** Stands for Redis. */
class FakeStore {
  readonly clock = new FakeClock();
  readonly asked: string[] = [];
  readonly reported: string[] = [];
  isReachable = true;
  /** Called before the reply. */
  onAsked = (_id: string) => {};
  readonly stored: StoredMessages;

  readonly sender = { address: "192.0.2.1" };

  constructor(readonly ttlMs = TTL_MS) {
    this.stored = new StoredMessages(this.clock, (messages) => {
      if (!this.isReachable) return Promise.reject(new Error("not connected"));
      const ids = messages.map(({ id }) => id);
      this.asked.push(ids.join("+"));
      ids.forEach((id) => this.onAsked(id));
      return Promise.resolve();
    });
  }

  add(id: string, options: { bytes?: number; targetId?: string; expiresTogether?: boolean } = {}) {
    this.reserve(id, options);
    this.stored.start(id);
  }

  reserve(id: string, { bytes = 10, targetId = "bob", expiresTogether = false } = {}): void {
    const message: StoredMessage = {
      id,
      room: "",
      targetId,
      bytes,
      cost: costOf(this.sender, targetId, bytes),
      ttlMs: this.ttlMs,
      expiresTogether,
      report: () => this.reported.push(id),
    };
    this.stored.reserve(message);
  }

  /** Advances the clock, and runs what was pending. */
  async advance(ms: number): Promise<void> {
    this.clock.advance(ms);
    await drainMicrotasks();
  }
}

async function drainMicrotasks(): Promise<void> {
  for (let n = 0; n < 10; n++) await Promise.resolve();
}

testPure(
  "StoredMessages takes back and reports messages that were not fetched in time",
  async () => {
    const store = new FakeStore();
    store.add("a");
    await store.advance(TTL_MS - 1);
    assert.deepEqual(store.asked, []);
    store.add("b");
    await store.advance(1);
    assert.deepEqual([store.asked, store.reported], [["a"], ["a"]]);
    await store.advance(TTL_MS);
    assert.deepEqual([store.asked, store.reported], [["a", "b"], ["a", "b"]]);
    assert.equal(store.stored.size, 0);
    assert.equal(store.clock.pending, 0);
  },
);

testPure("StoredMessages reports no message that was fetched", async () => {
  const store = new FakeStore();
  store.add("a");
  assert.ok(store.stored.delete("a"));
  assert.ok(!store.stored.delete("a"));
  await store.advance(TTL_MS + UNCONFIRMED_MS);
  assert.deepEqual([store.asked, store.reported], [[], []]);
});

testPure(
  "StoredMessages reports no message that was fetched as it was taken back",
  async () => {
    const store = new FakeStore();
    store.onAsked = (id) => store.stored.delete(id);
    store.add("a");
    await store.advance(TTL_MS + UNCONFIRMED_MS);
    assert.deepEqual([store.asked, store.reported], [["a"], []]);
  },
);

testPure(
  "StoredMessages reports a message that it could not take back once it is lost",
  async () => {
    const store = new FakeStore();
    store.isReachable = false;
    store.add("a");
    store.add("b");
    await store.advance(TTL_MS);
    await store.advance(UNCONFIRMED_MS - 1);
    assert.deepEqual(store.reported, []);
    store.stored.delete("b"); // it was fetched, and this node learns of it late
    await store.advance(1);
    assert.deepEqual(store.reported, ["a"]);
    assert.equal(store.stored.size, 0);
    assert.equal(store.clock.pending, 0);
  },
);

testPure("expireAll() takes all messages back at once", async () => {
  const store = new FakeStore();
  store.onAsked = (id) => id === "b" && store.stored.delete(id);
  store.add("a");
  store.add("b");
  await store.stored.expireAll();
  assert.deepEqual([store.asked, store.reported], [["a", "b"], ["a"]]);
  assert.equal(store.clock.pending, 0);
});

testPure("expireAll() reports messages that it cannot take back", async () => {
  const store = new FakeStore();
  store.isReachable = false;
  store.add("a");
  await store.stored.expireAll();
  assert.deepEqual(store.reported, ["a"]);
  assert.equal(store.clock.pending, 0);
});

testPure("hasCapacityFor() allows 64 messages of one sender for one target", () => {
  const store = new FakeStore();
  const one = costOf(store.sender, "bob", 10);
  for (let n = 0; n < 64; n++) {
    assert.ok(store.stored.hasCapacityFor(one));
    store.add(`${n}`);
  }
  assert.ok(!store.stored.hasCapacityFor(one));
  assert.ok(store.stored.hasCapacityFor(costOf(store.sender, "carol", 10)));
  store.stored.delete("0");
  assert.ok(store.stored.hasCapacityFor(one));
});

testPure("add() ignores messages if none are stored", async () => {
  const store = new FakeStore(0);
  store.add("a");
  assert.equal(store.stored.size, 0);
  await store.advance(UNCONFIRMED_MS);
  assert.deepEqual([store.asked, store.reported], [[], []]);
});

testPure(
  "messages that expire together are taken back in one step, and reported once",
  async () => {
    const store = new FakeStore();
    store.add("a", { expiresTogether: true });
    await store.advance(1000);
    store.add("b", { expiresTogether: true });
    store.add("c", { expiresTogether: true, targetId: "carol" });
    store.add("d");
    await store.advance(TTL_MS - 1000);
    assert.deepEqual([store.asked, store.reported], [["a+b"], ["a"]]);
    await store.advance(1000);
    assert.deepEqual([store.asked, store.reported], [["a+b", "c", "d"], ["a", "c", "d"]]);
    assert.equal(store.stored.size, 0);
    assert.equal(store.clock.pending, 0);
  },
);

testPure("messages that expire together are reported unless all were fetched", async () => {
  const store = new FakeStore();
  const fetched = new Set(["a", "c", "d"]);
  store.onAsked = (id) => fetched.has(id) && store.stored.delete(id);
  for (const id of ["a", "b"]) store.add(id, { expiresTogether: true });
  for (const id of ["c", "d"]) store.add(id, { expiresTogether: true, targetId: "carol" });
  await store.advance(TTL_MS + UNCONFIRMED_MS);
  assert.deepEqual([store.reported, store.stored.size], [["b"], 0]);
});

testPure(
  "dropTogether() takes back the messages that expire with one that was not stored",
  () => {
    const store = new FakeStore();
    for (const id of ["a", "b"]) store.add(id, { expiresTogether: true });
    store.add("c");
    const last: StoredMessage = {
      id: "d",
      room: "",
      targetId: "bob",
      bytes: 10,
      cost: costOf(store.sender, "bob", 10),
      ttlMs: TTL_MS,
      expiresTogether: true,
      report: () => store.reported.push("d"),
    };
    store.stored.dropTogether(last);
    assert.deepEqual([store.asked, store.reported, store.stored.size], [["a+b"], [], 1]);
  },
);

testPure("a message on its way to Redis does not expire before the reply", async () => {
  const store = new FakeStore();
  store.reserve("a");
  store.reserve("b");
  await store.advance(10 * TTL_MS);
  assert.deepEqual([store.asked, store.reported], [[], []]);
  store.stored.start("a");
  store.stored.delete("b"); // it was not stored
  await store.advance(TTL_MS);
  assert.deepEqual([store.asked, store.reported], [["a"], ["a"]]);
  store.stored.start("b");
  assert.equal(store.clock.pending, 0);
});
