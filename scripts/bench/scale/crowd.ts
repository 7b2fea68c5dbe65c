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

/** @param onPoint is told each point of the curve as soon as it is there */
export function measureCrowd(
  driver: Driver,
  server: ServerProcess,
  plan: CrowdPlan,
  onPoint: (point: CrowdPoint) => void,
): CrowdPoint[] {
  const pairs = connectPairs(driver, server, candidate(), plan.activePairs);
  const session = new PairsSession(driver, server, pairs, IN_FLIGHT);
  for (let i = 0; i < plan.slices; i++) session.run(plan.sliceMs); // to warm up
  let idle = 0;
  return plan.idleClients.map((target) => {
    const ids = Array.from(
      { length: target - idle },
      (_, index) => `idle_${100_000 + idle + index}`,
    );
    driver.openAll(server.port, ids);
    idle = target;
    driver.pollFor(SETTLE_MS);
    const cpu = Array.from({ length: plan.slices }, () => session.run(plan.sliceMs)["cpu"]!);
    const point = {
      clients: 2 * plan.activePairs + target,
      cpuMicrosPerMessage: quantile(cpu.sort((a, b) => a - b), 0.5),
      residentMB: server.residentBytes() / 1e6,
    };
    onPoint(point);
    return point;
  });
}
