/** The interface of all scenarios. */

import type { Driver } from "../driver.ts";
import type { ServerProcess } from "../server_process.ts";

/** The figures of one slice of time, by the metric's name. */
export type Sample = Readonly<Record<string, number>>;

/** A number that a scenario gives. */
export interface Metric {
  readonly name: string;
  readonly unit: string;
  /** A description for the report. */
  readonly label: string;
}

/** Source of CPU time: one server, or several together. */
export type Measured = Pick<ServerProcess, "takeCpuNs">;

/** A scenario at one server, its clients connected. */
export interface Session {
  /** Puts load on the server for a while; when it returns, nothing is in flight any more. */
  run(durationMs: number): Sample;
  /** Disconnects the clients. */
  end(): void;
}

export interface Scenario {
  readonly name: string;
  readonly what: string;
  readonly metrics: readonly Metric[];
  prepare(driver: Driver, server: ServerProcess): Session;
}
