/** Lets servers take turns: so near in time, they meet the same machine, whatever else it does. */

import type { Sample, Session } from "./scenarios/scenario.ts";

export interface Plan {
  /** How often each server has its turn. */
  readonly turns: number;
  readonly sliceMs: number;
  /** Slices before those that count, for the servers to compile what is used much. */
  readonly warmups: number;
}

/** By the contender's name: one sample for each turn, so that equal indexes are of one turn. */
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

/** The same ones, but each turn another begins. */
function rotated<Item>(items: readonly Item[], by: number): Item[] {
  const first = by % items.length;
  return [...items.slice(first), ...items.slice(0, first)];
}
