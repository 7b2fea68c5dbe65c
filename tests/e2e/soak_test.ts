/** A short soak, and a smoke test of its judge. */

import assert from "node:assert/strict";
import { type ConnectionRecord, Ledger } from "../../scripts/soak/ledger.ts";
import { type RoundReport, soak } from "../../scripts/soak/soak.ts";
import type { Terms } from "../../scripts/soak/times.ts";
import { judge } from "../../scripts/soak/verdict.ts";
import { inMebibytes, memoryOf } from "../helpers/process.ts";
import { ServingProgram } from "../helpers/program.ts";
import { testPure } from "../helpers/pure.ts";
import { newSeed } from "../helpers/random.ts";

/** Bound of the memory's growth: the heap of a server that keeps nothing grows by up to 75 MiB until it has settled. */
const MAX_GROWTH_BYTES = 128 * 1024 ** 2;

Deno.test("no message is lost among clients that join, leave and misbehave at random", async () => {
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
          memory.push(memoryOf(program.pid).nowBytes);
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
  const growthBytes = memory.at(-1)! - memory[0]!;
  assert(growthBytes < MAX_GROWTH_BYTES, `memory grew by ${inMebibytes(growthBytes)}`);
  program.signal("SIGTERM");
  const { status, stderr } = await program.ended();
  assert.deepEqual([status, stderr.match(/^ERROR.*$/gm)], [0, null]);
});

testPure("judge() finds a message that was lost, and nothing wrong with one that arrived", () => {
  const ledger = new Ledger();
  const connect = (id: string): ConnectionRecord => {
    const connection = Object.assign(ledger.open(id, "ws://a"), { registeredAtMs: 0 });
    connection.markers.push({ sentAtMs: 100_000, returnedAtMs: 100_000 });
    return connection;
  };
  const [alice, bob] = [connect("alice"), connect("bob")];
  ledger.send(alice, "bob", 0);
  const [message] = ledger.messages;
  Object.assign(message!, { sentAtMs: 1, takenAtMs: 1 });
  const terms: Terms = { mailboxTtlMs: 1000, noticeMs: 100, transitMs: 0 };
  assert.deepEqual(judge(ledger, terms).violations, [
    "1 lost and 0 errors: message 0 from alice to bob and others",
  ]);
  ledger.receive(bob, "alice", message!.n, message!.size);
  assert.deepEqual(judge(ledger, terms).violations, []);
});

testPure("judge() lets only a client that moved overtake what waits at its old node", () => {
  const terms: Terms = { mailboxTtlMs: 1000, noticeMs: 500, transitMs: 100 };
  const play = (urls: readonly [string, string]): readonly string[] => {
    const ledger = new Ledger();
    const connect = (id: string, url: string, registeredAtMs: number, endedAtMs: number) => {
      const connection = Object.assign(ledger.open(id, url), { registeredAtMs, endedAtMs });
      connection.markers.push({ sentAtMs: endedAtMs, returnedAtMs: endedAtMs });
      return connection;
    };
    const alice = [connect("alice", urls[0], 0, 1000), connect("alice", urls[1], 1000, 9000)];
    const bob = connect("bob", "ws://a", 3000, 9000);
    for (const connection of alice) ledger.send(connection, "bob", 0);
    for (const n of [1, 0]) ledger.receive(bob, "alice", n, 0);
    ledger.messages.forEach((message, n) => {
      const sentAtMs = 900 + 1500 * n;
      Object.assign(message, { sentAtMs, takenAtMs: sentAtMs, deliveredAtMs: 3001 });
    });
    for (const record of bob.received) Object.assign(record, { receivedAtMs: 3001 });
    return judge(ledger, terms).violations;
  };
  assert.deepEqual(play(["ws://b", "ws://a"]), []);
  assert.deepEqual(play(["ws://b", "ws://b"]), [
    "bob got message 0 from alice to bob after message 1 from alice to bob",
  ]);
});
