/** Measures the CPU of a message and the memory, with some active clients and more and more idle ones. */

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
  /** Time for which all are quiet while the server's CPU is measured. */
  readonly quietMs: number;
}

/** The figures with a number of connected clients. */
export interface CrowdPoint {
  readonly clients: number;
  readonly cpuMicrosPerMessage: number;
  /** CPU of the registrations that led from the previous number to this one; 0 at first. */
  readonly cpuMicrosPerConnection: number;
  /** CPU while no client sends anything but pongs, in per cent of a core. */
  readonly quietPercent: number;
  readonly residentMB: number;
}

const IN_FLIGHT = 64;
const SETTLE_MS = 500;

const HOLDER = `${import.meta.dirname}/holder.ts`;
const FIRST_NUMBER = 100_000; // so that all IDs are equally long

/** Returns the CPU that a server takes while no client sends, in per cent of a core. */
export function measureQuiet(driver: Driver, server: ServerProcess, quietMs: number): number {
  server.takeCpuNs();
  driver.pollFor(quietMs);
  return server.takeCpuNs() / 1e4 / quietMs;
}

/** The clients of one server. */
export class Crowd implements AsyncDisposable {
  readonly #driver: Driver;
  readonly #server: ServerProcess;
  readonly #plan: CrowdPlan;
  readonly #session: PairsSession;
  readonly #holders: Deno.ChildProcess[] = [];
  #idle = 0;
  #cpu: number[] = [];
  #cpuMicrosPerConnection = 0;
  #quietPercent = 0;

  constructor(driver: Driver, server: ServerProcess, plan: CrowdPlan) {
    this.#driver = driver;
    this.#server = server;
    this.#plan = plan;
    const pairs = connectPairs(driver, server, candidate(), plan.activePairs);
    this.#session = new PairsSession(driver, server, pairs, IN_FLIGHT);
  }

  /** Connects more clients, which then say nothing. */
  async grow(idle: number): Promise<void> {
    const more = idle - this.#idle;
    this.#server.takeCpuNs();
    if (more > 0) await this.#hold(FIRST_NUMBER + this.#idle, more);
    this.#cpuMicrosPerConnection = more > 0 ? this.#server.takeCpuNs() / 1000 / more : 0;
    this.#idle = idle;
    this.#cpu = [];
    this.#driver.pollFor(SETTLE_MS);
  }

  /** Measures the CPU that the server takes while no client sends. */
  beQuiet(): void {
    this.#quietPercent = measureQuiet(this.#driver, this.#server, this.#plan.quietMs);
  }

  async #hold(first: number, count: number): Promise<void> {
    const args = ["run", "--allow-all", HOLDER, `${this.#server.port}`, `${first}`, `${count}`];
    const holder = new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
    this.#holders.push(holder);
    const reader = holder.stdout.getReader();
    const { done } = await reader.read();
    await reader.cancel();
    if (done) throw new Error(`${count} more clients could not connect`);
  }

  /** Lets the active ones send, for a slice of time. */
  run(): void {
    this.#cpu.push(this.#session.run(this.#plan.sliceMs)["cpu"]!);
  }

  /** The figures since it has grown. */
  get point(): CrowdPoint {
    return {
      clients: 2 * this.#plan.activePairs + this.#idle,
      cpuMicrosPerMessage: quantile(this.#cpu.toSorted((a, b) => a - b), 0.5),
      cpuMicrosPerConnection: this.#cpuMicrosPerConnection,
      quietPercent: this.#quietPercent,
      residentMB: this.#server.residentBytes() / 1e6,
    };
  }

  /** Ends the idle clients. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const holder of this.#holders) {
      holder.kill("SIGKILL");
      await holder.status;
    }
  }
}

/**
 * Lets crowds at several servers take turns. The answer is a curve for each.
 *
 * @param onPoints gets the points of all curves as soon as they are there
 */
export async function measureCrowds(
  crowds: readonly Crowd[],
  { idleClients, slices }: CrowdPlan,
  onPoints: (points: readonly CrowdPoint[]) => void,
): Promise<CrowdPoint[][]> {
  const runAll = () => {
    for (let slice = 0; slice < slices; slice++) for (const crowd of crowds) crowd.run();
  };
  runAll(); // to warm up
  const curves: CrowdPoint[][] = crowds.map(() => []);
  for (const idle of idleClients) {
    for (const crowd of crowds) await crowd.grow(idle);
    for (const crowd of crowds) crowd.beQuiet();
    runAll();
    const points = crowds.map(({ point }) => point);
    for (const [index, point] of points.entries()) curves[index]!.push(point);
    onPoints(points);
  }
  return curves;
}
