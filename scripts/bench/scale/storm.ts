/** A connection storm: a server that has just started, and all clients back within a second. */

import type { Client, Driver } from "../driver.ts";
import type { ServerProcess } from "../server_process.ts";
import { quantile } from "../statistics.ts";

/** The figures of a storm. */
export interface Storm {
  readonly clients: number;
  /** True if each registers with a token (HS256). */
  readonly hasTokens: boolean;
  /** Time from the first client's attempt to connect until the last one is registered. */
  readonly allRegisteredMs: number;
  /** Time from a client's attempt to connect until it is registered. */
  readonly medianWaitMs: number;
  readonly longestWaitMs: number;
  readonly cpuMicrosPerConnection: number;
}

const STORM_MS = 1000;

/** @param token what all clients register with; null without one */
export function measureStorm(
  driver: Driver,
  server: ServerProcess,
  count: number,
  token: string | null,
): Storm {
  const waitsMs: number[] = [];
  const registration = token === null ? {} : { token };
  server.takeCpuNs();
  const startedAt = performance.now();
  for (let opened = 0; opened < count;) {
    if (performance.now() - startedAt >= opened * STORM_MS / count) {
      waitFor(driver.open(server.port, `storm_${10_000 + opened++}`, registration), waitsMs);
    }
    driver.poll(0);
  }
  driver.waitUntil(() => waitsMs.length === count);
  const allRegisteredMs = performance.now() - startedAt;
  waitsMs.sort((a, b) => a - b);
  return {
    clients: count,
    hasTokens: token !== null,
    allRegisteredMs,
    medianWaitMs: quantile(waitsMs, 0.5),
    longestWaitMs: quantile(waitsMs, 1),
    cpuMicrosPerConnection: server.takeCpuNs() / 1000 / count,
  };
}

function waitFor(client: Client, waitsMs: number[]): void {
  const openedAt = performance.now();
  client.onRegistered = () => waitsMs.push(performance.now() - openedAt);
}
