/** The simulation as a command: a cluster on a simulated clock and network, with failures, and whether a message was lost. */

import { Command, Option } from "commander";
import { newSeed } from "../tests/helpers/random.ts";
import { readWhole } from "./read_whole.ts";
import { type FailureKind, FAILURES } from "./simulation/failures.ts";
import { Lua } from "./simulation/lua.ts";
import { World } from "./simulation/world.ts";

interface Arguments {
  readonly rounds: number;
  readonly seed?: number;
  readonly fail: readonly FailureKind[];
  readonly trace?: true;
}

async function main(): Promise<void> {
  const { rounds, seed: first = newSeed(), fail: failures, trace } = readArguments(Deno.args);
  using lua = await Lua.start();
  const onStep = (line: string) => trace && console.log(line);
  let [sent, bad] = [0, 0];
  for (let seed = first; seed < first + rounds; seed++) {
    const world = new World(lua, { seed, failures, onStep });
    const violations = await world.run();
    sent += world.sent.length;
    if (violations.length === 0) continue;
    bad++;
    console.log(`seed ${seed}: ${violations.join("; ")}`);
  }
  console.log(`${rounds} rounds from seed ${first}, ${sent} messages: ${bad} rounds went wrong.`);
  if (bad > 0) Deno.exitCode = 1;
}

function readArguments(args: readonly string[]): Arguments {
  const kinds = Object.keys(FAILURES);
  return new Command("deno task simulate")
    .description("Simulates clusters whose nodes, Redis and network fail, and checks what arrives.")
    .option("--rounds <number>", "how many clusters, one after the other", readWhole, 1000)
    .option("--seed <number>", "begin with this one, to see the same again", readWhole)
    .addOption(new Option("--fail <what...>", "what may fail").choices(kinds).default(kinds))
    .option("--trace", "print all that happens")
    .parse(args, { from: "user" })
    .opts<Arguments>();
}

await main();
