/** Many idle clients, and some that are active: what a message costs, and what memory is used, as the idle ones grow more. */

import type { Driver } from "../driver.ts";
import { candidate } from "../messages.ts";
import { connectPairs, PairsSession } from "../scenarios/pairs.ts";
import type { ServerProcess } from "../server_process.ts";
import { quantile } from "../statistics.ts";

export interface CrowdPlan {
  readonly activePairs: number;
  /** Rising. */
  readonly idleClients: readonly number[];
  readonly slices: number;
  readonly sliceMs: number;
}

/** What was measured with a number of clients connected. */
export interface CrowdPoint {
  readonly clients: number;
  readonly cpuMicrosPerMessage: number;
  readonly residentMB: number;
}

const IN_FLIGHT = 64;
const SETTLE_MS = 500;

/** The clients of one server. */
export class Crowd {
  readonly #driver: Driver;
  readonly #server: ServerProcess;
  readonly #plan: CrowdPlan;
  readonly #session: PairsSession;
  #idle = 0;
  #cpu: number[] = [];

  constructor(driver: Driver, server: ServerProcess, plan: CrowdPlan) {
    this.#driver = driver;
    this.#server = server;
    this.#plan = plan;
    const pairs = connectPairs(driver, server, candidate(), plan.activePairs);
    this.#session = new PairsSession(driver, server, pairs, IN_FLIGHT);
  }

  /** Connects more clients, which then say nothing. */
  grow(idle: number): void {
    const more = Array.from(
      { length: idle - this.#idle },
      (_, n) => `idle_${100_000 + this.#idle + n}`,
    );
    this.#driver.openAll(this.#server.port, more);
    this.#idle = idle;
    this.#cpu = [];
    this.#driver.pollFor(SETTLE_MS);
  }

  /** Lets the active ones send, for a slice of time. */
  run(): void {
    this.#cpu.push(this.#session.run(this.#plan.sliceMs)["cpu"]!);
  }

  /** What was measured since it has grown. */
  get point(): CrowdPoint {
    return {
      clients: 2 * this.#plan.activePairs + this.#idle,
      cpuMicrosPerMessage: quantile(this.#cpu.toSorted((a, b) => a - b), 0.5),
      residentMB: this.#server.residentBytes() / 1e6,
    };
  }
}

/**
 * Lets crowds at several servers take turns. The answer is a curve for each.
 *
 * @param onPoints is told the points of all curves as soon as they are there
 */
export function measureCrowds(
  crowds: readonly Crowd[],
  { idleClients, slices }: CrowdPlan,
  onPoints: (points: readonly CrowdPoint[]) => void,
): CrowdPoint[][] {
  const runAll = () => {
    for (let slice = 0; slice < slices; slice++) for (const crowd of crowds) crowd.run();
  };
  runAll(); // to warm up
  const curves: CrowdPoint[][] = crowds.map(() => []);
  for (const idle of idleClients) {
    for (const crowd of crowds) crowd.grow(idle);
    runAll();
    const points = crowds.map(({ point }) => point);
    for (const [index, point] of points.entries()) curves[index]!.push(point);
    onPoints(points);
  }
  return curves;
}
