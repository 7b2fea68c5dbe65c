/** The benchmark's command: signalbox beside other relays, taking turns; prints a table. */

import { Command, Option } from "commander";
import { chooseContenders, OTHER_RELAYS, type Wanted } from "./contenders.ts";
import { describeMachine } from "./machine.ts";
import { candidate, offer } from "./messages.ts";
import { Progress } from "./progress.ts";
import { legend, table, writeJson } from "./report.ts";
import { type IdlePlan, runIdle, runInTurns, withBench } from "./run.ts";
import { broadcast } from "./scenarios/broadcast.ts";
import { connections } from "./scenarios/connections.ts";
import { idle } from "./scenarios/idle.ts";
import { latency } from "./scenarios/latency.ts";
import { pairs } from "./scenarios/pairs.ts";
import type { Scenario } from "./scenarios/scenario.ts";
import type { Plan } from "./turns.ts";

interface Arguments extends Wanted {
  readonly quick?: true;
  readonly turns?: number;
  readonly scenarios: readonly string[];
  readonly json?: string;
}

type BenchPlan = Plan & IdlePlan;

// Slices are short and turns many: whatever else the machine does lasts longer than a slice, and meets all alike.
const FULL: BenchPlan = { turns: 40, sliceMs: 200, warmups: 5, idleRounds: 3, idleClients: 4000 };
const QUICK: BenchPlan = { turns: 8, sliceMs: 150, warmups: 3, idleRounds: 1, idleClients: 2000 };

export const SCENARIOS: readonly Scenario[] = [
  pairs("candidate", "a candidate of 221 bytes", candidate()),
  pairs("offer", "an offer of 3.5 KB", offer()),
  broadcast,
  connections,
  latency,
];

async function main(): Promise<void> {
  const given = readArguments(Deno.args);
  const usual = given.quick ? QUICK : FULL;
  const plan = { ...usual, turns: given.turns ?? usual.turns };
  const progress = new Progress(Deno.stderr);
  const contenders = await chooseContenders(given, (line) => progress.say(line));
  const isChosen = ({ name }: { readonly name: string }) => given.scenarios.includes(name);
  const runs = await withBench(progress, async (bench) => [
    ...await runInTurns(bench, contenders, SCENARIOS.filter(isChosen), plan),
    ...isChosen(idle) ? [await runIdle(bench, contenders, plan)] : [],
  ]);
  const machine = describeMachine();
  print(`${table(runs.flatMap(({ metrics }) => metrics))}\n${legend(machine, contenders)}`);
  if (given.json !== undefined) writeJson(given.json, { machine, contenders, plan, runs });
}

function readArguments(args: readonly string[]): Arguments {
  const source = Deno.realPathSync(`${import.meta.dirname}/../../main.ts`);
  const levels = ["warn", "info"];
  const relays = Object.keys(OTHER_RELAYS);
  const scenarios = [...SCENARIOS, idle].map(({ name }) => name);
  return new Command("deno task bench")
    .description("Compares signalbox with other relays: CPU, memory, latency. Takes seven minutes.")
    .option("--quick", "a rougher answer after one or two minutes")
    .option("--turns <number>", "how often each has its turn, if not as usual", Number)
    .option("--main <files...>", "the main.ts to measure; several: side by side", [source])
    .option("--executable <file>", "measure this executable, too")
    .addOption(new Option("--levels <levels...>", "log levels").choices(levels).default(levels))
    .option("--with <options...>", 'measure with options, too: --with "--mailbox-ttl 0"', [])
    .addOption(new Option("--relays <names...>", "which others").choices(relays).default(relays))
    .option("--no-relays", "no others than bare Deno")
    .addOption(new Option("--scenarios <names...>", "which").choices(scenarios).default(scenarios))
    .option("--json <file>", "write all numbers there")
    .parse(args, { from: "user" })
    .opts<Arguments>();
}

function print(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}

if (import.meta.main) await main();
