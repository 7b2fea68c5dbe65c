/** The soak as a command: clients that come, go, stall, flood and talk nonsense at random, and whether a message was lost. */

import { Command, Option } from "commander";
import { inMebibytes } from "../tests/helpers/process.ts";
import type { PairTimes } from "../tests/helpers/pair.ts";
import { newSeed } from "../tests/helpers/random.ts";
import { type FailureName, FAILURES } from "./soak/failures.ts";
import { MeasuredPair } from "./soak/measured_pair.ts";
import { pause } from "./soak/pause.ts";
import { readWhole } from "./read_whole.ts";
import { type RoundReport, soak } from "./soak/soak.ts";
import { oneNode, ownCluster, running, type Subject } from "./soak/subject.ts";

interface Arguments {
  readonly seconds: number;
  readonly clients: number;
  readonly seed?: number;
  readonly nodes?: number;
  readonly fail?: readonly FailureName[];
  readonly failSeconds?: number;
  readonly url?: readonly string[];
  readonly mailboxTtl: number;
  readonly executable?: string;
}

const NODES_THAT_FAIL = 3;
/** Time for which the pair is measured before there are others. */
const QUIET_MS = 5000;

async function main(): Promise<void> {
  const given = readArguments(Deno.args);
  await using subject = await choose(given);
  const { seed = newSeed(), clients, seconds } = given;
  console.log(`seed ${seed}`);
  if (subject.hurt === undefined) console.log(`undisturbed: ${await measureQuiet(subject)}`);
  const rounds = await soak({
    ...subject,
    participants: clients,
    seconds,
    seed,
    onRound: (round) => console.log(describeRound(round, subject.maxMemoryBytes)),
  });
  const { maxMemoryBytes } = subject;
  const isGood = rounds.every(({ violations, leftBehind, memoryBytes }) =>
    !violations.length && !leftBehind && (memoryBytes ?? 0) <= (maxMemoryBytes ?? Infinity)
  );
  console.log(isGood ? "Nothing was lost without an error." : "This went wrong: see above.");
  if (!isGood) Deno.exitCode = 1;
}

function readArguments(args: readonly string[]): Arguments {
  const command = new Command("deno task soak")
    .description(
      "Lets clients come, go, stall, flood, reset and talk nonsense, and checks what arrives.",
    )
    .option("--seconds <number>", "for how long", readWhole, 60)
    .option("--clients <number>", "how many", readWhole, 40)
    .option("--seed <number>", "begin with this one, to see the same again", readWhole)
    .option("--nodes <number>", "start a cluster of this many, with a Redis of its own", readWhole)
    .addOption(
      new Option("--fail <what...>", "start a cluster, and do this to it; several take turns")
        .choices(Object.keys(FAILURES)).conflicts("url"),
    )
    .option("--fail-seconds <number>", "for how long, if not as long as it says below", readWhole)
    .option(
      "--url <urls...>",
      "a server that runs, as ws://host:port; several: the nodes of a cluster",
    )
    .option("--mailbox-ttl <seconds>", "that of the server at --url", readWhole, 10)
    .option("--executable <file>", "start this, not the source")
    .addHelpText(
      "after",
      `\nWhat can be done to a cluster in the middle of each round:\n${describeFailures()}`,
    )
    .parse(args, { from: "user" });
  const given = command.opts<Arguments>();
  const fewest = given.fail === undefined ? 1 : 2;
  if (given.nodes !== undefined && given.nodes < fewest) {
    command.error(`error: --nodes ${given.nodes} is too few; with --fail it takes 2 or more.`);
  }
  return given;
}

function describeFailures(): string {
  const entries = Object.entries(FAILURES);
  const width = Math.max(...entries.map(([name]) => name.length));
  const lines = entries.map(([name, { description, durationMs }]) =>
    `  ${name.padEnd(width)}  ${description} (${durationMs / 1000} s)`
  );
  return lines.join("\n");
}

async function choose(given: Arguments): Promise<Subject> {
  const { url: urls, fail: names, failSeconds, executable } = given;
  if (urls !== undefined) return running(urls, given.mailboxTtl * 1000);
  const options = executable === undefined ? {} : { command: [executable] };
  const nodes = given.nodes ?? (names === undefined ? 1 : NODES_THAT_FAIL);
  if (nodes === 1) return await oneNode(options);
  const durationMs = failSeconds === undefined ? undefined : failSeconds * 1000;
  return await ownCluster(nodes, options, names === undefined ? null : { names, durationMs });
}

async function measureQuiet({ urls: [url] }: Subject): Promise<string> {
  const pair = new MeasuredPair(url!);
  await pause(QUIET_MS);
  return describePair(await pair.finish());
}

function describePair({ messages, p99Ms }: PairTimes): string {
  return `${messages} messages of a pair there and back, 99 % within ${p99Ms.toFixed(1)} ms`;
}

/** One line, and one for each violation. */
function describeRound(round: RoundReport, maxMemoryBytes: number | null): string {
  const { seed, sent, delivered, reported, excused, leftBehind, memoryBytes, violations } = round;
  const pair = round.pair === null ? "" : `; attacked: ${describePair(round.pair)}`;
  const errors = [...reported].map(([code, count]) => `${count} ${code}`).join(", ");
  const bound = maxMemoryBytes === null ? "" : ` (may be ${inMebibytes(maxMemoryBytes)})`;
  const memory = memoryBytes === null ? "" : `; memory ${inMebibytes(memoryBytes)}${bound}`;
  const line = `round ${seed}: ${sent} sent, ${delivered} delivered, errors ${errors || "none"}, ` +
    `${excused} lost with a connection or a node, ${leftBehind} clients left behind${memory}${pair}`;
  return [line, ...violations.map((violation) => `  ${violation}`)].join("\n");
}

if (import.meta.main) await main();
