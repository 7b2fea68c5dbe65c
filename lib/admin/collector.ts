/** Metrics that are read when Prometheus asks for them: prom-client writes them down, and counts nothing itself. */

import type * as PromClient from "prom-client";
import type { Histogram } from "./histogram.ts";

/** Values of a metric with one label. */
export type Labelled = Iterable<readonly [label: string | number, value: number]>;

/** What is used of prom-client. */
type Parts = Pick<typeof PromClient, "Counter" | "Gauge" | "Registry">;

/** Loads it when it is needed, and no more than that: all of it would hold up the relay for five times as long. */
async function loadParts(): Promise<Parts> {
  const [{ default: Counter }, { default: Gauge }, { default: Registry }] = await Promise.all([
    import("prom-client/lib/counter.js"),
    import("prom-client/lib/gauge.js"),
    import("prom-client/lib/registry.js"),
  ]);
  return { Counter, Gauge, Registry };
}

export class Collector {
  readonly #parts: Parts;
  readonly #registry: PromClient.Registry;

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.#registry = new parts.Registry();
  }

  static async create(): Promise<Collector> {
    return new Collector(await loadParts());
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All metrics as they stand, in Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  gauge(name: string, help: string, read: () => number): void {
    new this.#parts.Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }

  counter(name: string, help: string, read: () => number): void {
    new this.#parts.Counter({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }

  /** Counters that differ in one label. */
  counters(name: string, help: string, label: string, read: () => Labelled): void {
    new this.#parts.Counter({
      name,
      help,
      labelNames: [label],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [value, count] of read()) this.inc({ [label]: String(value) }, count);
      },
    });
  }

  /** A gauge that is always 1: what it says is in its label. */
  info(name: string, help: string, label: string, value: string): void {
    const labelNames = [label];
    const registers = [this.#registry];
    new this.#parts.Gauge({ name, help, labelNames, registers }).set({ [label]: value }, 1);
  }

  /** prom-client's own histogram wants to see each value; but of a metric a registry only asks that it can `get` it. */
  histogram(name: string, help: string, source: Histogram): void {
    const get = () => {
      const values = histogramValues(name, source);
      return Promise.resolve({ name, help, type: "histogram", aggregator: "sum", values });
    };
    this.#registry.registerMetric({ name, get } as unknown as PromClient.Metric);
  }
}

function histogramValues(name: string, { bounds, count, sum, cumulative }: Histogram) {
  const buckets = [...bounds.entries()].map(([i, bound]) => [bound, cumulative[i]!] as const);
  return [
    ...[...buckets, ["+Inf", count] as const].map(([le, value]) => ({
      metricName: `${name}_bucket`,
      labels: { le },
      value,
    })),
    { metricName: `${name}_sum`, labels: {}, value: sum },
    { metricName: `${name}_count`, labels: {}, value: count },
  ];
}
