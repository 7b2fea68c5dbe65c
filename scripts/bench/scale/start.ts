/** Measures a server before the first client comes: its start, and what it takes while it waits. */

import type { Contender } from "../contenders.ts";
import { type Bench, withNewServer } from "../run.ts";
import { spread } from "../statistics.ts";
import { measureQuiet } from "./crowd.ts";

export interface StartPlan {
  /** The number of starts, of which the median counts. */
  readonly starts: number;
  /** Time without a client while the server's CPU is measured. */
  readonly quietMs: number;
}

export interface Start {
  /** Time from the start of the process to the line that says where it listens. */
  readonly listensAfterMs: number;
  /** CPU without a client, in per cent of a core. */
  readonly quietPercent: number;
  readonly residentMB: number;
}

/** Starts a server several times. */
export async function measureStart(
  bench: Bench,
  contender: Contender,
  { starts, quietMs }: StartPlan,
): Promise<Start> {
  const timesMs: number[] = [];
  const [quietPercents, residentMBs]: [number[], number[]] = [[], []];
  for (let n = 0; n < starts; n++) {
    const startedAt = performance.now();
    await withNewServer(bench, contender, (driver, server) => {
      timesMs.push(performance.now() - startedAt);
      quietPercents.push(measureQuiet(driver, server, quietMs));
      residentMBs.push(server.residentBytes() / 1e6);
    });
  }
  return {
    listensAfterMs: spread(timesMs).median,
    quietPercent: spread(quietPercents).median,
    residentMB: spread(residentMBs).median,
  };
}
