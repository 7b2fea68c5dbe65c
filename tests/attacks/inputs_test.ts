/** A thousand hostile inputs against the real program, while two well-behaved clients go on. */

import assert from "node:assert/strict";
import { untilEmpty } from "../helpers/health.ts";
import { Pair } from "../helpers/pair.ts";
import { inMebibytes, memoryOf } from "../helpers/process.ts";
import { ServingProgram } from "../helpers/program.ts";
import { newSeed, Random } from "../helpers/random.ts";
import { testOnRuntimes } from "../helpers/runtimes.ts";
import { BAD_DIALECTS } from "./inputs/dialects.ts";
import { BROKEN_FRAMES, USELESS_FRAMES } from "./inputs/frames.ts";
import type { Kind } from "./inputs/kind.ts";
import { BAD_MESSAGES } from "./inputs/messages.ts";
import { BAD_REQUESTS } from "./inputs/requests.ts";
import { BAD_TOPIC_MESSAGES } from "./inputs/topics.ts";

const KINDS: readonly Kind[] = [
  ...BROKEN_FRAMES,
  ...USELESS_FRAMES,
  ...BAD_MESSAGES,
  ...BAD_REQUESTS,
  ...BAD_TOPIC_MESSAGES,
  ...BAD_DIALECTS,
];

const OPTIONS = ["--log-level", "warn", "--dialects", "all"];
const INPUTS = 1000;
const AT_ONCE = 8;
/** Upper bound of the memory that they may cost the server. */
const MAX_GROWTH_BYTES = 64 * 1024 ** 2;

/** Yields every kind in turn. */
function* attacks(): Generator<{ readonly kind: Kind; readonly id: string }> {
  for (let n = 0; n < INPUTS; n++) yield { kind: KINDS[n % KINDS.length]!, id: `hostile ${n}` };
}

async function attackAll(url: string, seed: number): Promise<void> {
  const queue = attacks();
  const attack = async (random: Random) => {
    for (const { kind, id } of queue) {
      const outcome = await kind.run({ url, random, id });
      assert(kind.expected.includes(outcome), `${kind.name}: ${outcome}`);
    }
  };
  const attackers = Array.from({ length: AT_ONCE }, (_, n) => attack(new Random(seed + n)));
  await Promise.all(attackers);
}

testOnRuntimes("a thousand hostile inputs disturb no other client", async (command) => {
  const seed = newSeed();
  await using program = await ServingProgram.start(OPTIONS, { command });
  const before = memoryOf(program.pid);
  const pair = await Pair.start(program.url);
  try {
    await attackAll(program.url, seed);
  } catch (error) {
    throw new Error(`with the seed ${seed}`, { cause: error });
  }
  await pair.exchange(10);
  const { messages, slowestMs } = await pair.finish();
  const after = memoryOf(program.pid);
  await untilEmpty(program.httpUrl);
  const growth = after.peakBytes - before.nowBytes;
  console.info(
    `${INPUTS} inputs of ${KINDS.length} kinds; ${messages} messages there and back, none lost, ` +
      `the slowest in ${slowestMs} ms; memory ${inMebibytes(before.nowBytes)} before, ` +
      `${inMebibytes(after.peakBytes)} at its highest (may grow by ${
        inMebibytes(MAX_GROWTH_BYTES)
      })`,
  );
  assert(growth < MAX_GROWTH_BYTES, inMebibytes(growth));
  program.signal("SIGTERM");
  assert.deepEqual(await program.ended(), { status: 0, stdout: "", stderr: "" });
});
