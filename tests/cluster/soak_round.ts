/** One round of the soak over all nodes of a cluster, as a test. */

import assert from "node:assert/strict";
import type { Failure } from "../../scripts/soak/failure.ts";
import { playRound } from "../../scripts/soak/round.ts";
import type { Terms } from "../../scripts/soak/times.ts";
import { newSeed } from "../helpers/random.ts";

const PARTICIPANTS = 20;
const ACTIVE_MS = 5000;

/**
 * Plays a round.
 *
 * @param terms what the nodes were started with
 * @param hurt causes a failure in the middle of the round
 * @throws {assert.AssertionError} if a message was lost without a notice
 */
export async function soakRound(
  name: string,
  urls: readonly string[],
  terms: Terms,
  hurt: (() => Promise<Failure>) | null,
): Promise<void> {
  const seed = newSeed();
  const { violations, sent, delivered, excused } = await playRound({
    urls,
    participants: PARTICIPANTS,
    activeMs: ACTIVE_MS,
    seed,
    terms,
    hurt: hurt === null ? undefined : async () => [await hurt()],
  });
  console.info(
    `${name}: ${sent} sent, ${delivered} delivered, ${excused} lost with a connection or a node ` +
      `(--clients ${PARTICIPANTS} --seed ${seed})`,
  );
  assert.deepEqual(violations, [], `${name}, seed ${seed}`);
}
