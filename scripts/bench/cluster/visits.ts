/** Clients that connect, register and leave again: at a node by itself, and in a cluster. */

import type { Driver } from "../driver.ts";
import type { Session } from "../scenarios/scenario.ts";
import type { ServerProcess } from "../server_process.ts";
import { CpuMeter } from "./cpu_meter.ts";
import type { Processes } from "./processes.ts";

const AT_ONCE = 32;

/**
 * Sessions by the name that a report has for them.
 *
 * @param baseline the name for the node by itself
 */
export function prepareVisits(
  driver: Driver,
  baseline: string,
  { alone, a, b, redis, spread, secondRedis }: Processes,
): Map<string, Session> {
  const inCluster = () => new CpuMeter({ node: a, receiver: b, redis });
  const [neighbour] = driver.openAll(b.port, ["neighbour"]); // so that the other node watches the default room
  const overTwo = new CpuMeter({ node: spread, redis, second: secondRedis });
  const shared = visits(driver, a, inCluster(), null);
  const end = () => {
    shared.end();
    driver.closeAll([neighbour!]);
  };
  return new Map([
    [baseline, visits(driver, alone, new CpuMeter({ node: alone }), null)],
    ["a cluster, a room of its own", visits(driver, a, inCluster(), "room")],
    ["a cluster with two Redis, a room of its own", visits(driver, spread, overTwo, "room")],
    ["a cluster, a room that both nodes watch", { run: shared.run, end }],
  ]);
}

/** @param room the beginning of the name of each visitor's own room; null for the default room */
function visits(
  driver: Driver,
  node: ServerProcess,
  meter: CpuMeter,
  room: string | null,
): Session {
  const visitors = Array.from({ length: AT_ONCE }, (_, index) => ({
    id: `visitor_${1000 + index}`,
    more: room === null ? {} : { room: `${room}_${1000 + index}` },
  }));
  return {
    run(durationMs) {
      let made = 0;
      meter.takeCpuNs();
      const startedAt = performance.now();
      while (performance.now() < startedAt + durationMs) {
        const clients = visitors.map(({ id, more }) => driver.open(node.port, id, more));
        driver.waitUntil(() => clients.every(({ state }) => state === "ready"));
        driver.closeAll(clients);
        made += clients.length;
      }
      return meter.divide(meter.takeCpuNs() / 1000 / made);
    },
    end() {},
  };
}
