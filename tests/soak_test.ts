/** A short soak, and whether the judge of one would notice a mistake. */

import assert from "node:assert/strict";
import { type ConnectionRecord, Ledger, type MessageRecord } from "../scripts/soak/ledger.ts";
import { type RoundReport, soak } from "../scripts/soak/soak.ts";
import { judge, type Terms } from "../scripts/soak/verdict.ts";
import { hasProc, inMebibytes, memoryOf } from "./helpers/process.ts";
import { ServingProgram } from "./helpers/program.ts";
import { testPure } from "./helpers/pure.ts";
import { newSeed } from "./helpers/random.ts";

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

/** A book in which everything is fine: alice and bob are connected from 0 to 100,000, and are heard all the time. */
class Book {
  readonly ledger = new Ledger();
  readonly alice = this.connect("alice", 0);
  readonly bob = this.connect("bob", 0);

  connect(id: string, startedAtMs: number, endedAtMs = Infinity): ConnectionRecord {
    const connection = Object.assign(this.ledger.open(id), {
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
    "bob got message 0 from alice to bob twice",
    "carol got message 0 from alice to bob",
    "carol got message 0 from alice to bob changed",
    "bob got a message 7 from alice, which never sent it",
  ]);
});

testPure("judge() finds disorder, also from one connection to the next", () => {
  const book = new Book();
  const [first, second] = [book.send(book.alice, "bob", 1), book.send(book.alice, "bob", 2)];
  book.receive(book.bob, second);
  book.receive(book.connect("bob", 3), first);
  assert.deepEqual(book.violations, ["bob got message 0 from alice to bob after 1"]);
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
