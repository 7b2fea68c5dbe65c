/** The CPU time of several processes, and what each has of it. */

import type { Measured, Sample, Session } from "../scenarios/scenario.ts";
import type { ServerProcess } from "../server_process.ts";

export class CpuMeter implements Measured {
  readonly #processes: ReadonlyMap<string, ServerProcess>;
  #takenNs = new Map<string, number>();

  /** @param processes by the name of the metric that is their share */
  constructor(processes: Readonly<Record<string, ServerProcess>>) {
    this.#processes = new Map(Object.entries(processes));
  }

  /** CPU time since the last call, of all together. */
  takeCpuNs(): number {
    let sum = 0;
    for (const [name, process] of this.#processes) {
      const ns = process.takeCpuNs();
      this.#takenNs.set(name, ns);
      sum += ns;
    }
    return sum;
  }

  /** Divides something in proportion to the CPU time that was taken last. */
  divide(whole: number): Sample {
    const sum = [...this.#takenNs.values()].reduce((a, b) => a + b);
    return Object.fromEntries([...this.#takenNs].map(([name, ns]) => [name, whole * ns / sum]));
  }
}

/**
 * A session whose `cpu` is divided among the processes of its meter.
 *
 * @param factor how many of what the session counts are one of what is reported
 */
export function divideCpu(session: Session, meter: CpuMeter, factor = 1): Session {
  return {
    run: (durationMs) => meter.divide(factor * session.run(durationMs)["cpu"]!),
    end: () => session.end(),
  };
}
