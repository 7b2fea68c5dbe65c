/** Runs scenarios over contenders: starts servers, lets them take turns, and stops them, whatever happens. */

import type { Contender } from "./contenders.ts";
import { Driver } from "./driver.ts";
import { type Cores, pickCores, pinSelf } from "./machine.ts";
import type { Progress } from "./progress.ts";
import type { Protocol } from "./protocol.ts";
import { scenarioLines } from "./report.ts";
import { type ScenarioRun, summarize } from "./results.ts";
import { idle, measureIdle } from "./scenarios/idle.ts";
import type { Sample, Scenario, Session } from "./scenarios/scenario.ts";
import { ServerProcess } from "./server_process.ts";
import { type Plan, type Samples, takeTurns } from "./turns.ts";

/** Settings that all parts of a run share. */
export interface Bench {
  /** Cores of servers and driver; null leaves that to the kernel. */
  readonly cores: Cores | null;
  /** The directory for the servers' logs. */
  readonly logs: string;
  /** Ends the run early. */
  readonly signal: AbortSignal;
  readonly progress: Progress;
  /** The clients' protocol; signalbox's own by default. */
  readonly protocol?: Protocol;
  /** The contender that all ratios are to; bare Deno by default. */
  readonly baseline?: string;
}

/** Prepares this process to be the driver, for as long as `use` takes. */
export async function withBench<Answer>(
  progress: Progress,
  use: (bench: Bench) => Promise<Answer>,
): Promise<Answer> {
  const cores = pickCores();
  const isPinned = cores !== null && await pinSelf(cores.driver);
  if (!isPinned) progress.say("Server and driver have no core each to themselves: expect noise.");
  const interruption = new AbortController();
  const interrupt = () => interruption.abort(new Error("interrupted"));
  Deno.addSignalListener("SIGINT", interrupt);
  const logs = Deno.makeTempDirSync({ prefix: "signalbox-bench-" });
  try {
    return await use({
      cores: isPinned ? cores : null,
      logs,
      signal: interruption.signal,
      progress,
    });
  } finally {
    Deno.removeSync(logs, { recursive: true });
    Deno.removeSignalListener("SIGINT", interrupt);
  }
}

/** Scenarios in which all contenders run at once, and take turns. */
export async function runInTurns(
  bench: Bench,
  contenders: readonly Contender[],
  scenarios: readonly Scenario[],
  plan: Plan,
): Promise<ScenarioRun[]> {
  const driver = new Driver(bench.protocol);
  const servers = new Map<string, ServerProcess>();
  try {
    for (const contender of contenders) {
      servers.set(contender.name, await startServer(bench, contender));
    }
    const runs: ScenarioRun[] = [];
    for (const scenario of scenarios) {
      const sessions = new Map<string, Session>();
      for (const [name, server] of servers) sessions.set(name, scenario.prepare(driver, server));
      runs.push(await runSessions(bench, scenario, sessions, plan));
    }
    return runs;
  } finally {
    driver.close();
    await Promise.all([...servers.values()].map((server) => server.stop()));
  }
}

/** Lets the sessions of a scenario take turns, and reports. */
export async function runSessions(
  bench: Bench,
  scenario: Described,
  sessions: ReadonlyMap<string, Session>,
  plan: Plan,
): Promise<ScenarioRun> {
  const samples = await takeTurns(sessions, plan, (done, all) => {
    bench.signal.throwIfAborted();
    bench.progress.show(`${scenario.name}: turn ${done + 1} of ${all}`);
  });
  return report(bench, scenario, samples);
}

/** The report about one scenario. */
export interface Described extends Pick<Scenario, "name" | "what" | "metrics"> {
  /** The contender that all ratios are to; bare Deno by default. */
  readonly baseline?: string;
}

export interface IdlePlan {
  readonly idleRounds: number;
  readonly idleClients: number;
}

/** The memory of idle clients: one server after the other, a new one each time. */
export async function runIdle(
  bench: Bench,
  contenders: readonly Contender[],
  { idleRounds: rounds, idleClients: clients }: IdlePlan,
): Promise<ScenarioRun> {
  const samples = new Map<string, Sample[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [index, contender] of contenders.entries()) {
      const done = round * contenders.length + index;
      bench.progress.show(`${idle.name}: ${done + 1} of ${rounds * contenders.length}`);
      const sample = await withNewServer(
        bench,
        contender,
        (driver, server) => measureIdle(driver, server, clients),
      );
      samples.get(contender.name)!.push(sample);
    }
  }
  return report(bench, idle, samples);
}

/** Runs something at a server that was started for it. */
export async function withNewServer<Answer>(
  bench: Bench,
  contender: Contender,
  use: (driver: Driver, server: ServerProcess) => Answer,
): Promise<Answer> {
  bench.signal.throwIfAborted();
  const driver = new Driver(bench.protocol);
  const server = await startServer(bench, contender);
  try {
    return use(driver, server);
  } finally {
    driver.close();
    await server.stop();
  }
}

/** Starts a contender, on the core for servers. */
export function startServer(
  { cores, logs }: Bench,
  { name, command, env }: Contender,
): Promise<ServerProcess> {
  return ServerProcess.start({
    command,
    env: env ?? {},
    core: cores?.server ?? null,
    stderrFile: `${logs}/${name.replaceAll(/\W+/g, "-")}.log`,
  });
}

function report(
  { progress, baseline: usual }: Bench,
  { name, what, metrics, baseline = usual }: Described,
  samples: Samples,
): ScenarioRun {
  const results = metrics.map((metric) => summarize(name, metric, samples, baseline));
  const run = { name, what, metrics: results, samples };
  progress.say(scenarioLines(run));
  return run;
}
