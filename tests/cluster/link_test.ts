/** Packets between two nodes, over a channel that loses, repeats and holds up what is published. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { Disconnected } from "../../lib/cluster/disconnected.ts";
import { Link } from "../../lib/cluster/link.ts";
import { type Packet, readPublication } from "../../lib/cluster/messages.ts";
import type { Node } from "../../lib/cluster/node.ts";
import { FakeClock } from "../helpers/clock.ts";
import { testPure } from "../helpers/pure.ts";

/** Publications on their way, in order; a test delivers or loses the oldest. */
class Channel {
  readonly pending: { readonly text: string; confirm(subscribers: number): void; fail(): void }[] =
    [];

  publish(text: string): Promise<number> {
    return new Promise((resolve, reject) =>
      this.pending.push({ text, confirm: resolve, fail: () => reject(new Disconnected("lost")) })
    );
  }
}

/** One end: what it delivers, what it gets back, and the next end to which it publishes. */
class End {
  readonly channel = new Channel();
  readonly delivered: number[] = [];
  readonly done: number[] = [];
  readonly returned: number[] = [];
  readonly link: Link<number>;
  accepts = true;
  mayDeliver = true;
  isReady = true;
  #count = 0;

  constructor(id: string, other: string, readonly clock: FakeClock) {
    // deno-lint-ignore no-this-alias
    const end = this;
    const node = {
      id,
      get isReady() {
        return end.isReady;
      },
      get deadlineMs() {
        return clock.now() + 5000;
      },
      get redisTimeMs() {
        return clock.now();
      },
      publish: (_: string, text: string) => end.channel.publish(text),
    };
    this.link = new Link<number>(other, other, node as unknown as Node, clock, {
      deliver: (_, { text }: Packet) => {
        if (this.accepts) this.delivered.push(Number(text));
        return this.accepts;
      },
      onControl() {},
      onDone: (items) => this.done.push(...items),
      onReturned: (items) => this.returned.push(...items),
      mayDeliver: () => this.mayDeliver,
    });
  }

  send(): number {
    const item = ++this.#count;
    const ids = { room: "", targetId: "x", senderId: "y" };
    const packet = { kind: "message", epoch: 1, order: item, ...ids } as const;
    this.link.send({ packet: { ...packet, text: String(item) }, item });
    return item;
  }
}

async function carry(from: End, to: End, isLost: boolean): Promise<void> {
  const next = from.channel.pending.shift();
  if (next === undefined) return;
  if (!isLost) to.link.receive(readPublication(next.text)!);
  if (isLost && from.clock.now() % 2 === 0) next.fail();
  else next.confirm(1);
  await Promise.resolve();
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
}

/** Delivers what both have published, until nothing is pending. */
async function deliverAll(a: End, b: End): Promise<void> {
  for (let round = 0; round < 200 && !(a.link.isIdle && b.link.isIdle); round++) {
    a.clock.advance(500);
    for (const end of [a, b]) end.link.check();
    for (const [from, to] of [[a, b], [b, a]] as const) {
      while (from.channel.pending.length > 0) await carry(from, to, false);
    }
  }
}

function twoEnds(): [a: End, b: End] {
  const clock = new FakeClock();
  return [new End("a", "b", clock), new End("b", "a", clock)];
}

testPure("every packet is delivered once and in order, whatever is lost", async () => {
  const step = fc.constantFrom("send", "carry", "lose", "back", "lose back", "wait", "again");
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const [a, b] = twoEnds();
      let sent = 0;
      for (const step of steps) {
        if (step === "send") sent = a.send();
        else if (step === "carry" || step === "lose") await carry(a, b, step === "lose");
        else if (step === "back" || step === "lose back") await carry(b, a, step === "lose back");
        else if (step === "wait") a.clock.advance(300);
        else a.link.repeat();
      }
      await deliverAll(a, b);
      const all = Array.from({ length: sent }, (_, n) => n + 1);
      assert.deepEqual(b.delivered, all);
      assert.deepEqual(a.done, all);
      assert.deepEqual(a.returned, []);
    }),
    { numRuns: 300 },
  );
});

testPure("undelivered messages come back, and nothing overtakes them", async () => {
  const [a, b] = twoEnds();
  a.send();
  await carry(a, b, false);
  b.accepts = false;
  a.send();
  await carry(a, b, false);
  b.accepts = true;
  a.send(); // before the return has come
  await carry(a, b, false);
  await deliverAll(a, b);
  assert.deepEqual([b.delivered, a.done, a.returned], [[1], [1], [2, 3]]);
  a.send();
  await deliverAll(a, b);
  assert.deepEqual(b.delivered, [1, 4]);
});

testPure("a node without a lease returns everything, also what is late", async () => {
  const [a, b] = twoEnds();
  a.send();
  b.mayDeliver = false;
  a.clock.advance(10_000);
  await deliverAll(a, b);
  assert.deepEqual([b.delivered, a.returned], [[], [1]]);
});

testPure("what comes after its deadline is not delivered, and sent again", async () => {
  const [a, b] = twoEnds();
  a.send();
  a.clock.advance(6000);
  await carry(a, b, false);
  assert.deepEqual(b.delivered, []);
  await deliverAll(a, b);
  assert.deepEqual(b.delivered, [1]);
});

testPure(
  "removeUnconfirmed() removes what Redis has not confirmed, and later packets arrive",
  async () => {
    const [a, b] = twoEnds();
    a.send();
    await carry(a, b, false);
    a.isReady = false;
    a.send();
    a.send();
    assert.deepEqual(a.link.removeUnconfirmed(), [2, 3]);
    a.isReady = true;
    a.send();
    await deliverAll(a, b);
    assert.deepEqual([b.delivered, a.done], [[1, 4], [1, 4]]);
  },
);

testPure(
  "onDead() returns what was sent too late, and keeps what may have been delivered",
  async () => {
    const [a, b] = twoEnds();
    a.clock.advance(1); // what is lost at odd times has reached Redis
    a.send();
    await carry(a, b, true);
    a.clock.advance(1000);
    a.send();
    await carry(a, b, true);
    a.link.onDead();
    assert.deepEqual([a.done, a.returned], [[1], [2]]);
    b.accepts = false; // it comes back, has the client no more, and sends nothing by itself
    a.clock.advance(3000);
    a.link.check();
    await carry(a, b, false);
    await deliverAll(a, b);
    assert.deepEqual(a.returned, [2, 1]);
  },
);

testPure("onDead() keeps what may have been delivered after a slow publication", async () => {
  const [a, b] = twoEnds();
  a.send();
  a.clock.advance(1001);
  await carry(a, b, true);
  a.send();
  await carry(a, b, true);
  a.link.onDead();
  assert.deepEqual([a.done, a.returned], [[1, 2], []]);
});

testPure(
  "a node without a sign for 20 s since Redis is back counts as dead",
  async () => {
    const [a, b] = twoEnds();
    a.clock.advance(1); // what is lost at odd times has reached Redis
    a.send();
    await carry(a, b, true);
    a.clock.advance(30_000);
    a.link.resume();
    const late = a.send();
    await carry(a, b, true);
    const wait = async () => {
      a.clock.advance(2000);
      a.link.check();
      await carry(a, b, true);
    };
    for (let n = 0; n < 10; n++) await wait();
    assert.deepEqual([a.link.isDead, a.returned], [false, []]);
    await wait();
    assert.deepEqual([a.link.isDead, a.done, a.returned], [true, [1], [late]]);
  },
);

testPure("onLeft() returns all that was not acknowledged", async () => {
  const [a, b] = twoEnds();
  a.send();
  a.send();
  await carry(a, b, true);
  a.link.onLeft();
  assert.deepEqual(a.returned, [1, 2]);
});
