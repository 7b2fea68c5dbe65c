/** Lets servers take turns: so near in time, they meet the same machine, whatever else it does. */

import type { Driver } from "./driver.ts";
import type { Sample, Scenario } from "./scenarios/scenario.ts";
import type { ServerProcess } from "./server_process.ts";

export interface Plan {
  /** How often each server has its turn. */
  readonly turns: number;
  readonly sliceMs: number;
  /** Slices before those that count, for the servers to compile what is used much. */
  readonly warmups: number;
}

/** A contender that runs. */
export interface Competitor {
  readonly name: string;
  readonly server: ServerProcess;
}

/** By the contender's name: one sample for each turn, so that equal indexes are of one turn. */
export type Samples = ReadonlyMap<string, readonly Sample[]>;

/** @param onTurn is told before each turn, warm-ups included, how many are done */
export async function takeTurns(
  driver: Driver,
  competitors: readonly Competitor[],
  scenario: Scenario,
  plan: Plan,
  onTurn: (done: number, all: number) => void,
): Promise<Samples> {
  const places = competitors.map(({ name, server }) => ({
    samples: [] as Sample[],
    name,
    session: scenario.prepare(driver, server),
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
