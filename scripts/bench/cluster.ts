/** The third command: what messages and registrations cost in a cluster, and how much one Redis carries. */

import { Command } from "commander";
import { measureNodes } from "./cluster/nodes.ts";
import { measureSaturation } from "./cluster/saturation.ts";
import { describeMachine } from "./machine.ts";
import { Progress } from "./progress.ts";
import { machineLine, table, writeJson } from "./report.ts";
import type { ScenarioRun } from "./results.ts";
import { withBench } from "./run.ts";
import type { Plan } from "./turns.ts";

interface Arguments {
  readonly quick?: true;
  readonly main: string;
  readonly json?: string;
}

const FULL: Plan = { turns: 40, sliceMs: 200, warmups: 5 };
const QUICK: Plan = { turns: 8, sliceMs: 150, warmups: 3 };

async function main(): Promise<void> {
  const given = readArguments(Deno.args);
  const plan = given.quick ? QUICK : FULL;
  const runs = await withBench(new Progress(Deno.stderr), async (bench) => [
    ...await measureNodes(bench, given.main, plan),
    await measureSaturation(bench, plan),
  ]);
  const machine = describeMachine();
  Deno.stdout.writeSync(new TextEncoder().encode(`${runs.map(describe).join("\n")}
Medians; in brackets the ratio to one node without Redis, taken within a turn. CPU is with the kernel's part.
The nodes and Redis share one core, so latencies are those of a machine that has no more.
Every message was checked where it arrived. Measured is all but "limit", which is 1 s / "cpu".
${machineLine(machine)}
`));
  if (given.json !== undefined) writeJson(given.json, { machine, plan, runs });
}

function readArguments(args: readonly string[]): Arguments {
  const source = Deno.realPathSync(`${import.meta.dirname}/../../main.ts`);
  return new Command("deno task bench:cluster")
    .description("Measures nodes around a Redis, and that Redis. Takes under three minutes.")
    .option("--quick", "a rougher answer after half a minute")
    .option("--main <file>", "the main.ts to measure", source)
    .option("--json <file>", "write all numbers there")
    .parse(args, { from: "user" })
    .opts<Arguments>();
}

function describe({ name, what, metrics }: ScenarioRun): string {
  return `${name}: ${what}\n\n${table(metrics, "")}`;
}

if (import.meta.main) await main();
