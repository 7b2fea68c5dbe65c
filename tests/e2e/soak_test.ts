/** A short soak, and whether the judge of one would notice a mistake. */

import assert from "node:assert/strict";
import { type ConnectionRecord, Ledger, type MessageRecord } from "../../scripts/soak/ledger.ts";
import { type RoundReport, soak } from "../../scripts/soak/soak.ts";
import type { Failure } from "../../scripts/soak/failure.ts";
import type { Terms } from "../../scripts/soak/times.ts";
import { judge } from "../../scripts/soak/verdict.ts";
import { hasProc, inMebibytes, memoryOf } from "../helpers/process.ts";
import { ServingProgram } from "../helpers/program.ts";
import { testPure } from "../helpers/pure.ts";
import { newSeed } from "../helpers/random.ts";

/** By how much the memory may differ from round to round. */
const MAX_GROWTH_BYTES = 64 * 1024 ** 2;

Deno.test("clients that come, go and misbehave at random lose no message of anybody", async () => {
  const args = ["--mailbox-ttl", "1s", "--resume-ttl", "1s", "--log-level", "warn"];
  await using program = await ServingProgram.start(args);
  const memory: number[] = [];
  const rounds: RoundReport[] = [];
  const terms: Terms = { mailboxTtlMs: 1000, noticeMs: 5000, transitMs: 0 };
  for (const seed of [newSeed(), newSeed()]) {
    rounds.push(
      ...await soak({
        urls: [program.url],
        participants: 40,
        seconds: 3,
        seed,
        terms,
        readMemory: null,
        onRound: ({ sent, delivered, excused }) => {
          memory.push(hasProc ? memoryOf(program.pid).nowBytes : 0);
          console.info(
            `seed ${seed}: ${sent} sent, ${delivered} delivered, ${excused} lost with a connection; ` +
              `memory ${inMebibytes(memory.at(-1)!)}`,
          );
        },
      }),
    );
  }
  for (const { violations, leftBehind } of rounds) {
    assert.deepEqual([violations, leftBehind], [[], 0]);
  }
  assert(memory.at(-1)! - memory[0]! < MAX_GROWTH_BYTES);
  program.signal("SIGTERM");
  const { status, stderr } = await program.ended();
  assert.deepEqual([status, stderr.match(/^ERROR.*$/gm)], [0, null]);
});

const TERMS: Terms = { mailboxTtlMs: 1000, noticeMs: 100, transitMs: 0 };
const CLUSTER_TERMS: Terms = { ...TERMS, transitMs: 100 };
const [A, B] = ["ws://a", "ws://b"];

/** A book in which everything is fine: alice and bob are connected to node A from 0 to 100,000, and are heard all the time. */
class Book {
  readonly ledger = new Ledger();
  readonly alice = this.connect("alice", 0);
  readonly bob = this.connect("bob", 0);

  connect(id: string, startedAtMs: number, endedAtMs = Infinity, url = A): ConnectionRecord {
    const connection = Object.assign(this.ledger.open(id, url), {
      startedAtMs,
      registeredAtMs: startedAtMs,
      endedAtMs,
    });
    const lastMarkerMs = Math.min(100_000, endedAtMs);
    connection.markers.push({ sentAtMs: lastMarkerMs, returnedAtMs: lastMarkerMs });
    return connection;
  }

  /** A message that the server took at once. */
  send(from: ConnectionRecord, to: string | null, sentAtMs: number): MessageRecord {
    this.ledger.send(from, to, 0);
    return Object.assign(this.ledger.messages.at(-1)!, { sentAtMs, takenAtMs: sentAtMs });
  }

  receive(at: ConnectionRecord, { from, n, size }: MessageRecord): void {
    this.ledger.receive(at, from.id, n, size);
  }

  get violations(): readonly string[] {
    return judge(this.ledger, TERMS).violations;
  }

  /** How many violations there are in a cluster where this has failed. */
  after(...failures: readonly Failure[]): number {
    return judge(this.ledger, CLUSTER_TERMS, failures).violations.length;
  }
}

testPure("judge() finds nothing wrong with what was delivered once and in order", () => {
  const book = new Book();
  for (const message of [book.send(book.alice, "bob", 1), book.send(book.alice, null, 2)]) {
    book.receive(book.bob, message);
  }
  assert.deepEqual(book.violations, []);
});

testPure("judge() finds a message that was lost without a word", () => {
  const book = new Book();
  book.send(book.alice, "bob", 1);
  assert.deepEqual(book.violations, [
    "1 lost and 0 errors: message 0 from alice to bob and others",
  ]);
});

testPure("judge() finds one that was kept and then forgotten", () => {
  const book = new Book();
  book.send(book.alice, "carol", 1);
  assert.equal(book.violations.length, 1);
  book.ledger.told(book.alice, "target_not_found", "carol");
  assert.deepEqual(book.violations, []);
});

testPure("judge() finds one that was delivered and reported as not", () => {
  const book = new Book();
  book.receive(book.bob, book.send(book.alice, "bob", 1));
  book.ledger.told(book.alice, "target_not_found", "bob");
  assert.equal(book.violations.length, 1);
});

testPure("judge() finds what came twice, changed, to another, or from nowhere", () => {
  const book = new Book();
  const carol = book.connect("carol", 0);
  const message = book.send(book.alice, "bob", 1);
  book.receive(book.bob, message);
  book.receive(book.bob, message);
  book.ledger.receive(carol, "alice", 0, 5);
  book.ledger.receive(book.bob, "alice", 7, 0);
  assert.deepEqual(book.violations.slice(0, 4), [
    "carol got message 0 from alice to bob",
    "carol got message 0 from alice to bob changed",
    "bob got a message 7 from alice, which never sent it",
    "bob got message 0 from alice to bob twice",
  ]);
});

testPure("judge() finds disorder, also from one connection to the next", () => {
  const book = new Book();
  const [first, second] = [book.send(book.alice, "bob", 1), book.send(book.alice, "bob", 2)];
  book.receive(book.bob, second);
  book.receive(book.connect("bob", 3), first);
  assert.deepEqual(book.violations, [
    "bob got message 0 from alice to bob after message 1 from alice to bob",
  ]);
  assert.deepEqual(judge(book.ledger, { ...TERMS, transitMs: 1000 }).violations, []);
});

testPure("judge() excuses what was lost with the target's connection", () => {
  const book = new Book();
  const carol = book.connect("carol", 0, 5000);
  carol.markers.length = 0;
  book.send(book.alice, "carol", 4900);
  assert.deepEqual(book.violations, []);
  assert.equal(judge(book.ledger, TERMS).excused, 1);
});

testPure("judge() excuses nothing that the target must have read before it ended", () => {
  const book = new Book();
  const carol = book.connect("carol", 0, 5000);
  carol.markers[0] = { sentAtMs: 4950, returnedAtMs: 4960 };
  book.send(book.alice, "carol", 4900);
  assert.equal(book.violations.length, 1);
});

testPure("judge() excuses nothing that was sent when the end was known", () => {
  const book = new Book();
  book.connect("carol", 0, 5000).markers.length = 0;
  book.send(book.alice, "carol", 5101);
  assert.equal(book.violations.length, 1);
});

testPure("judge() excuses what was lost with the sender's connection", () => {
  const book = new Book();
  const message = book.send(book.connect("carol", 0, 5000), "bob", 4900);
  message.takenAtMs = Infinity;
  assert.deepEqual(book.violations, []);
});

testPure("judge() finds a broadcast that one did not get who was there", () => {
  const book = new Book();
  const message = book.send(book.alice, null, 10);
  book.connect("late", 20);
  assert.deepEqual(book.violations, [
    "bob missed 1 broadcasts, 0 were refused: message 0 from alice to all",
  ]);
  book.receive(book.bob, message);
  assert.deepEqual(book.violations, []);
});

testPure("judge() excuses what was under way when the sender's node died", () => {
  const death = (url: string): Failure => ({
    kind: "death",
    urls: [url],
    fromMs: 5000,
    untilMs: 5010,
  });
  const sentAt = (sentAtMs: number): Book => {
    const book = new Book();
    book.connect("carol", 0, Infinity, B);
    book.send(book.connect("dave", 0, 5000), "carol", sentAtMs);
    return book;
  };
  assert.equal(sentAt(4950).after(), 1);
  assert.equal(sentAt(4950).after(death(A)), 0);
  assert.equal(sentAt(4950).after(death(B)), 1);
  assert.equal(sentAt(4800).after(death(A)), 1); // it had arrived
});

testPure("judge() gives a node that stands still the time to notice an end", () => {
  const delay = (url: string): Failure => ({
    kind: "delay",
    urls: [url],
    fromMs: 4000,
    untilMs: 7000,
  });
  const sentAt = (sentAtMs: number): Book => {
    const book = new Book();
    book.connect("carol", 0, 5000, B).markers.length = 0;
    book.send(book.alice, "carol", sentAtMs);
    return book;
  };
  assert.equal(sentAt(6000).after(), 1);
  assert.equal(sentAt(6000).after(delay(B)), 0);
  assert.equal(sentAt(6000).after(delay(A)), 1);
  assert.equal(sentAt(7200).after(delay(B)), 1);
});

testPure("judge() excuses no loss by a node that stands still", () => {
  const book = new Book();
  book.connect("carol", 0, Infinity, B);
  book.send(book.alice, "carol", 5000);
  assert.equal(book.after({ kind: "delay", urls: [A, B], fromMs: 4000, untilMs: 7000 }), 1);
});

/** A node that did not reach Redis from 5000 to 9000; until 7000 others sent to it as if it did. */
function cut(...urls: readonly string[]): Failure {
  return { kind: "cut", urls, fromMs: 5000, untilMs: 9000, unnoticedUntilMs: 7000 };
}

testPure("judge() excuses what was sent to a node that was cut off, until that was noticed", () => {
  const sentAt = (sentAtMs: number, from = "alice"): Book => {
    const book = new Book();
    book.connect("carol", 0, Infinity, B);
    const sender = from === "alice" ? book.alice : book.connect(from, 0, Infinity, B);
    book.send(sender, "carol", sentAtMs);
    return book;
  };
  assert.equal(sentAt(4950).after(), 1);
  assert.equal(sentAt(4950).after(cut(B)), 0);
  assert.equal(sentAt(6900).after(cut(B)), 0);
  assert.equal(sentAt(4800).after(cut(B)), 1); // it had arrived
  assert.equal(sentAt(7100).after(cut(B)), 1); // it was kept, or alice was told
  assert.equal(sentAt(6000).after(cut(A)), 1); // alice was told
  assert.equal(sentAt(6000, "dave").after(cut(B)), 1); // it never left the node
});

testPure("judge() excuses what was lost in a cut and told to one who had left", () => {
  const endedAt = (endedAtMs: number): Book => {
    const book = new Book();
    book.connect("carol", 0, Infinity, B);
    book.send(book.connect("dave", 0, endedAtMs), "carol", 8000);
    return book;
  };
  assert.equal(endedAt(8500).after(cut(B)), 0);
  assert.equal(endedAt(8500).after(), 1);
  assert.equal(endedAt(50_000).after(cut(B)), 1);
});

testPure(
  "judge() excuses what was kept for one who was registering when the node was cut off",
  () => {
    const kept = (sentAtMs: number, registeredAtMs: number): Book => {
      const book = new Book();
      book.connect("carol", 4900, Infinity, B).registeredAtMs = registeredAtMs;
      book.send(book.alice, "carol", sentAtMs);
      return book;
    };
    assert.equal(kept(4500, 5500).after(cut(B)), 0);
    assert.equal(kept(4500, 5500).after(), 1);
    assert.equal(kept(4500, 5500).after(cut(A)), 1);
    assert.equal(kept(4500, 4950).after(cut(B)), 1); // it had registered
    assert.equal(kept(3000, 5500).after(cut(B)), 1); // it was kept no longer
  },
);

testPure("judge() excuses a broadcast only for nodes that could not be reached", () => {
  const sentAt = (sentAtMs: number): Book => {
    const book = new Book();
    book.connect("carol", 0, Infinity, B);
    book.receive(book.bob, book.send(book.alice, null, sentAtMs));
    return book;
  };
  assert.equal(sentAt(8000).after(), 1);
  assert.equal(sentAt(8000).after(cut(B)), 0);
  assert.equal(sentAt(9200).after(cut(B)), 1);
  assert.equal(sentAt(8000).after(cut("ws://c")), 1);
});

testPure("judge() excuses one wrong report of a node that did not hear of a delivery", () => {
  const told = (...codes: readonly string[]): Book => {
    const book = new Book();
    book.receive(book.connect("carol", 0, Infinity, B), book.send(book.alice, "carol", 4950));
    for (const code of codes) book.ledger.told(book.alice, code, "carol");
    return book;
  };
  assert.equal(told("unavailable").after(), 1);
  assert.equal(told("unavailable").after(cut(A)), 0);
  assert.equal(told("target_not_found").after(cut(A)), 0);
  assert.equal(told("unavailable").after(cut(B)), 1);
  assert.equal(told("mailbox_full").after(cut(A)), 1);
  assert.equal(told("unavailable", "unavailable").after(cut(A)), 1);
});

testPure("judge() excuses the silence of a node that has failed", () => {
  const book = new Book();
  book.ledger.silences.push({ url: B, what: "an upgrade", sinceMs: 5500, untilMs: 6500 });
  assert.equal(book.after(), 1);
  assert.equal(book.after(cut(B)), 0);
  assert.equal(book.after(cut(A)), 1);
  assert.equal(book.after({ ...cut(B), untilMs: 5400 }), 1);
});

testPure("judge() excuses a broadcast that came twice only where the ID was on two nodes", () => {
  const twice = (to: string | null, registeredAtMs: number, olderUrl = A): Book => {
    const book = new Book();
    const message = book.send(book.alice, to, 5000);
    if (to === null) book.receive(book.bob, message);
    book.receive(book.connect("carol", 0, 5100, olderUrl), message);
    book.receive(book.connect("carol", registeredAtMs, Infinity, B), message);
    return book;
  };
  assert.equal(twice(null, 5050).after(), 0);
  assert.equal(twice("carol", 5050).after(), 1);
  assert.equal(twice(null, 4900).after(), 0); // its old node may not know
  assert.equal(twice(null, 4899).after(), 1); // it had moved
  assert.equal(twice(null, 5200).after(), 1); // it had not moved yet
  assert.equal(twice(null, 5050, B).after(), 1); // it did not move
  assert.equal(twice(null, 4900, "ws://c").after(cut(B)), 0);
  assert.equal(twice("carol", 4900, "ws://c").after(cut(B)), 1);
});

testPure("judge() excuses disorder only after the sender has moved to another node", () => {
  const overtaken = (registeredAtMs: number, url = B): Book => {
    const book = new Book();
    const first = book.send(book.alice, "bob", 1);
    const second = book.send(book.connect("alice", registeredAtMs, Infinity, url), "bob", 2);
    book.receive(book.bob, second);
    book.receive(book.bob, first);
    return book;
  };
  const nowMs = performance.now();
  assert.equal(overtaken(nowMs + 1000).after(), 0);
  assert.equal(overtaken(nowMs + 1000, A).after(), 1);
  const longAgoMs = nowMs - CLUSTER_TERMS.transitMs;
  assert.equal(overtaken(longAgoMs).after(), 1);
  const failure = { ...cut(A), fromMs: 0, untilMs: nowMs };
  assert.equal(overtaken(longAgoMs).after(failure), 0);
  assert.equal(overtaken(longAgoMs).after({ ...failure, untilMs: longAgoMs }), 1);
  assert.equal(overtaken(longAgoMs, A).after(failure), 1);
});
