/** Measures what messages and registrations cost in a cluster of three nodes, and prints one table. */

import { Command } from "commander";
import { type Crowds, type CrowdsPlan, measureCrowds } from "./cluster/crowds.ts";
import { measureNodes } from "./cluster/nodes.ts";
import { describeMachine } from "./machine.ts";
import { Progress } from "./progress.ts";
import { machineLine, table, writeJson } from "./report.ts";
import type { MetricResults, ScenarioRun } from "./results.ts";
import { withBench } from "./run.ts";
import type { Metric } from "./scenarios/scenario.ts";
import type { Plan } from "./turns.ts";

interface Arguments {
  readonly quick?: true;
  readonly crowds?: true;
  readonly main: string;
  readonly json?: string;
}

const FULL: Plan = { turns: 40, sliceMs: 200, warmups: 5 };
const QUICK: Plan = { turns: 8, sliceMs: 150, warmups: 3 };

const CROWDS: CrowdsPlan = { nodes: 100, clientsPerNode: 20, reaped: 30_000, members: 100_000 };

async function main(): Promise<void> {
  const given = readArguments(Deno.args);
  if (given.crowds) return console.log(describeCrowds(await measureCrowds(CROWDS, given.main)));
  const plan = given.quick ? QUICK : FULL;
  const runs = await withBench(
    new Progress(Deno.stderr),
    (bench) => measureNodes(bench, given.main, plan),
  );
  const machine = describeMachine();
  Deno.stdout.writeSync(new TextEncoder().encode(`${table(columns(runs), "for each")}
Medians; in brackets the ratio to one node without Redis, taken within a turn. CPU is with the kernel's part.
The nodes and Redis share one core, so latencies are those of a machine that has no more.
One Redis carries 1 s / "redis". Under load it carries more, because it reads several commands at a time.
${machineLine(machine)}
`));
  if (given.json !== undefined) writeJson(given.json, { machine, plan, runs });
}

function readArguments(args: readonly string[]): Arguments {
  const source = Deno.realPathSync(`${import.meta.dirname}/../../main.ts`);
  return new Command("deno task bench:cluster")
    .description("Measures nodes around a Redis. Takes two minutes.")
    .option("--quick", "a rougher answer after half a minute")
    .option("--crowds", "a cluster as large as one machine can simulate, in its place")
    .option("--main <file>", "the main.ts to measure", source)
    .option("--json <file>", "write all numbers there")
    .parse(args, { from: "user" })
    .opts<Arguments>();
}

function describeCrowds({ returnMs, reaping, longestCommandMs, listingMs }: Crowds): string {
  const { nodes, clientsPerNode, reaped, members } = CROWDS;
  const { tookMs, p99BeforeMs, p99Ms } = reaping;
  return `${nodes} nodes with ${clientsPerNode} clients each: back ${ms(returnMs)} after Redis.
${reaped} clients of a dead node: ended in ${
    ms(tookMs)
  }. Messages between two nodes meanwhile: 99 % within ${ms(p99Ms)} (${ms(p99BeforeMs)} before).
A room of ${members}: listed in ${ms(listingMs)}. The longest command took ${
    ms(longestCommandMs)
  }.`;
}

function ms(value: number): string {
  return `${value.toFixed(value < 100 ? 1 : 0)} ms`;
}

/** Columns of one table: a metric each, with a row for each way of each scenario. */
export function columns(runs: readonly ScenarioRun[]): MetricResults[] {
  const all = runs.flatMap(({ metrics }) => metrics);
  const metrics = new Map<string, Metric>(all.map(({ metric }) => [metric.name, metric]));
  return Array.from(metrics.values(), (metric) => ({
    scenario: "",
    metric,
    results: all.filter((other) => other.metric.name === metric.name).flatMap(
      ({ scenario, results }) =>
        results.map((result) => ({ ...result, contender: `${scenario}, ${result.contender}` })),
    ),
  }));
}

if (import.meta.main) await main();
