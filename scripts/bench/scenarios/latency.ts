/** Scenario: messages at a steady rate that leaves every server idle most of the time. */

import type { Driver } from "../driver.ts";
import { candidate } from "../messages.ts";
import { quantile } from "../statistics.ts";
import { connectPairs, type Pair } from "./pairs.ts";
import type { Sample, Scenario, Session } from "./scenario.ts";

const PAIRS = 64;
const INTERVAL_MS = 0.5;

export const latency: Scenario = {
  name: "latency",
  what: `a candidate every ${INTERVAL_MS} ms, over ${PAIRS} pairs`,
  metrics: [
    { name: "p50", unit: "µs", label: "latency, median" },
    { name: "p99", unit: "µs", label: "latency, 99th percentile" },
  ],
  prepare: (driver, server) =>
    new LatencySession(driver, connectPairs(driver, server, candidate(), PAIRS), INTERVAL_MS),
};

/** The pairs take turns to send. */
export class LatencySession implements Session {
  readonly #driver: Driver;
  readonly #pairs: readonly Pair[];
  readonly #intervalMs: number;
  /** Times at which each pair's messages under way were to be sent. */
  readonly #dueAt: number[][];
  #latenciesMs: number[] = [];

  constructor(driver: Driver, pairs: readonly Pair[], intervalMs: number) {
    this.#driver = driver;
    this.#pairs = pairs;
    this.#intervalMs = intervalMs;
    this.#dueAt = this.#pairs.map((pair) => {
      const dueAt: number[] = [];
      pair.onReceived = () => this.#latenciesMs.push(performance.now() - dueAt.shift()!);
      return dueAt;
    });
  }

  /**
   * Sends on a timetable that does not wait for answers, and measures from when a message was due. So a server that
   * stalls is not spared the messages of that time. The driver waits busily, so that it adds no wake-up of its own.
   */
  run(durationMs: number): Sample {
    this.#latenciesMs = [];
    const startedAt = performance.now();
    const count = Math.ceil(durationMs / this.#intervalMs);
    for (let sent = 0; sent < count;) {
      const dueAt = startedAt + sent * this.#intervalMs;
      if (performance.now() >= dueAt) this.#send(sent++ % this.#pairs.length, dueAt);
      this.#driver.poll(0);
    }
    this.#driver.waitUntil(() => this.#latenciesMs.length === count, 0);
    const sorted = this.#latenciesMs.toSorted((a, b) => a - b);
    return { p50: 1000 * quantile(sorted, 0.5), p99: 1000 * quantile(sorted, 0.99) };
  }

  #send(index: number, dueAt: number): void {
    this.#dueAt[index]!.push(dueAt);
    this.#pairs[index]!.send(this.#driver);
  }

  end(): void {
    this.#driver.closeAll(this.#pairs.flatMap(({ sender, receiver }) => [sender, receiver]));
  }
}
