/** Runs scenarios over contenders: starts servers, lets them take turns, and stops them, whatever happens. */

import type { Contender } from "./contenders.ts";
import { Driver } from "./driver.ts";
import type { Cores } from "./machine.ts";
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
  /** Is told what is going on. */
  readonly onProgress: (what: string, done: number, all: number) => void;
  /** Is told each scenario's results as soon as they are there. */
  readonly onResults: (run: ScenarioRun) => void;
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
        bench.onProgress(scenario.name, done, all);
      });
      runs.push(report(bench, scenario, samples));
    }
    return runs;
  } finally {
    driver.close();
    await Promise.all(competitors.map(({ server }) => server.stop()));
  }
}

/** The memory of idle clients: one server after the other, a new one each time. */
export async function runIdle(
  bench: Bench,
  contenders: readonly Contender[],
  rounds: number,
  clients: number,
): Promise<ScenarioRun> {
  const samples = new Map(contenders.map(({ name }) => [name, [] as Sample[]]));
  for (let round = 0; round < rounds; round++) {
    for (const [index, contender] of contenders.entries()) {
      bench.signal.throwIfAborted();
      bench.onProgress(idle.name, round * contenders.length + index, rounds * contenders.length);
      samples.get(contender.name)!.push(await measureAlone(bench, contender, clients));
    }
  }
  return report(bench, idle, samples);
}

async function measureAlone(bench: Bench, contender: Contender, clients: number): Promise<Sample> {
  const driver = new Driver();
  const server = await start(bench, contender);
  try {
    return measureIdle(driver, server, clients);
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
  { onResults }: Bench,
  { name, what, metrics }: Pick<Scenario, "name" | "what" | "metrics">,
  samples: Samples,
): ScenarioRun {
  const results = metrics.map((metric) => summarize(name, metric, samples));
  const run = { name, what, metrics: results, samples };
  onResults(run);
  return run;
}
