/** Runs scenarios over contenders: starts servers, lets them take turns, and stops them, whatever happens. */

import type { Contender } from "./contenders.ts";
import { Driver } from "./driver.ts";
import { type Cores, pickCores, pinSelf } from "./machine.ts";
import type { Progress } from "./progress.ts";
import { scenarioLines } from "./report.ts";
import { type ScenarioRun, summarize } from "./results.ts";
import { idle, measureIdle } from "./scenarios/idle.ts";
import type { Sample, Scenario } from "./scenarios/scenario.ts";
import { ServerProcess } from "./server_process.ts";
import { type Competitor, type Plan, type Samples, takeTurns } from "./turns.ts";

/** What a run needs to know of its surroundings. */
export interface Bench {
  /** Where servers and driver run; null: wherever the kernel puts them. */
  readonly cores: Cores | null;
  /** A directory for what the servers write to stderr: the logs. */
  readonly logs: string;
  /** Ends the run early. */
  readonly signal: AbortSignal;
  readonly progress: Progress;
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
  const driver = new Driver();
  const competitors: Competitor[] = [];
  try {
    for (const contender of contenders) {
      competitors.push({ name: contender.name, server: await start(bench, contender) });
    }
    const runs: ScenarioRun[] = [];
    for (const scenario of scenarios) {
      const samples = await takeTurns(driver, competitors, scenario, plan, (done, all) => {
        bench.signal.throwIfAborted();
        bench.progress.show(`${scenario.name}: turn ${done + 1} of ${all}`);
      });
      runs.push(report(bench, scenario, samples));
    }
    return runs;
  } finally {
    driver.close();
    await Promise.all(competitors.map(({ server }) => server.stop()));
  }
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
  const samples = new Map(contenders.map(({ name }) => [name, [] as Sample[]]));
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
  const driver = new Driver();
  const server = await start(bench, contender);
  try {
    return use(driver, server);
  } finally {
    driver.close();
    await server.stop();
  }
}

function start({ cores, logs }: Bench, { name, command, env }: Contender): Promise<ServerProcess> {
  return ServerProcess.start({
    command,
    env: env ?? {},
    core: cores?.server ?? null,
    stderrFile: `${logs}/${name.replaceAll(/\W+/g, "-")}.log`,
  });
}

function report(
  { progress }: Bench,
  { name, what, metrics }: Pick<Scenario, "name" | "what" | "metrics">,
  samples: Samples,
): ScenarioRun {
  const results = metrics.map((metric) => summarize(name, metric, samples));
  const run = { name, what, metrics: results, samples };
  progress.say(scenarioLines(run));
  return run;
}
