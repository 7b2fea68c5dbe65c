/** Scenario: clients that are connected and say nothing. Unlike the others it wants a server of its own, just started. */

import type { Driver } from "../driver.ts";
import type { ServerProcess } from "../server_process.ts";
import type { Metric, Sample } from "./scenario.ts";

/** Share of the clients that connect before the first measurement, because one-time allocations do not count. */
const FIRST_SHARE = 0.1;
const SETTLE_MS = 500;

export const idle = {
  name: "idle",
  what: "connected clients that say nothing, in a server of their own",
  metrics: [
    { name: "memory", unit: "KB", label: "memory for each client" },
  ] satisfies readonly Metric[],
};

/** Connects clients, and measures by how much the server has grown. */
export function measureIdle(driver: Driver, server: ServerProcess, count: number): Sample {
  const ids = Array.from({ length: count }, (_, index) => `idle_${10_000 + index}`);
  const firstCount = Math.ceil(FIRST_SHARE * count);
  const first = driver.openAll(server.port, ids.slice(0, firstCount));
  driver.pollFor(SETTLE_MS);
  const before = server.residentBytes();
  const others = driver.openAll(server.port, ids.slice(firstCount));
  driver.pollFor(SETTLE_MS);
  const grownBytes = server.residentBytes() - before;
  driver.closeAll([...first, ...others]);
  return { memory: grownBytes / 1024 / others.length };
}
