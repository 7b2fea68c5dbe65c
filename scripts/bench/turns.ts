/** Lets servers take short turns, so that other work of the machine meets all of them. */

import type { Sample, Session } from "./scenarios/scenario.ts";

export interface Plan {
  /** The number of turns of each server. */
  readonly turns: number;
  readonly sliceMs: number;
  /** The number of slices that do not count, in which the servers compile hot code. */
  readonly warmups: number;
}

/** Samples by the contender's name, one for each turn, so that equal indexes are of one turn. */
export type Samples = ReadonlyMap<string, readonly Sample[]>;

/**
 * Runs sessions, and ends them.
 *
 * @param sessions by the contender's name
 * @param onTurn is called before each turn, warm-ups included, with the number of turns done
 */
export async function takeTurns(
  sessions: ReadonlyMap<string, Session>,
  plan: Plan,
  onTurn: (done: number, all: number) => void,
): Promise<Samples> {
  const places = [...sessions].map(([name, session]) => ({
    samples: [] as Sample[],
    name,
    session,
  }));
  const all = plan.warmups + plan.turns;
  for (let turn = 0; turn < all; turn++) {
    onTurn(turn, all);
    await new Promise((resolve) => setTimeout(resolve)); // lets signals in: the driver itself never waits for anything else
    for (const { session, samples } of rotated(places, turn)) {
      const sample = session.run(plan.sliceMs);
      if (turn >= plan.warmups) samples.push(sample);
    }
  }
  for (const { session } of places) session.end();
  return new Map(places.map(({ name, samples }) => [name, samples]));
}

/** Returns the items in an order that begins with another one each turn. */
function rotated<Item>(items: readonly Item[], by: number): Item[] {
  const first = by % items.length;
  return [...items.slice(first), ...items.slice(0, first)];
}
