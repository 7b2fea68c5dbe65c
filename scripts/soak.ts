/** The soak as a command: clients that come, go, stall, flood and talk nonsense at random, and whether a message was lost. */

import { Command, InvalidArgumentError } from "commander";
import { hasProc, inMebibytes, memoryOf } from "../tests/helpers/process.ts";
import { ServingProgram } from "../tests/helpers/program.ts";
import { newSeed } from "../tests/helpers/random.ts";
import { type RoundReport, soak } from "./soak/soak.ts";
import type { Terms } from "./soak/verdict.ts";

interface Arguments {
  readonly seconds: number;
  readonly clients: number;
  readonly seed?: number;
  readonly url?: readonly string[];
  readonly mailboxTtl: number;
  readonly executable?: string;
}

/** What is soaked. */
interface Subject extends AsyncDisposable {
  readonly urls: readonly string[];
  readonly terms: Terms;
  readonly readMemory: (() => number) | null;
}

/** How long a server may take to notice that a connection has ended, and a message to get from one node to another. */
const NOTICE_MS = 5000;
const TRANSIT_MS = 5000;
/** What the program is started with: short times, so that they pass within a round. */
const OWN_MAILBOX_TTL_SECONDS = 1;
const OWN_ARGUMENTS = [
  ...["--mailbox-ttl", `${OWN_MAILBOX_TTL_SECONDS}s`],
  ...["--resume-ttl", "1s"],
  ...["--log-level", "error"],
];

async function main(): Promise<void> {
  const given = readArguments(Deno.args);
  await using subject = await choose(given);
  const { seed = newSeed(), clients, seconds } = given;
  console.log(`seed ${seed}`);
  const rounds = await soak({
    ...subject,
    participants: clients,
    seconds,
    seed,
    onRound: (round) => console.log(describeRound(round)),
  });
  const isGood = rounds.every(({ violations, leftBehind }) => !violations.length && !leftBehind);
  console.log(isGood ? "Nothing was lost without a word." : "Something was lost: see above.");
  if (!isGood) Deno.exitCode = 1;
}

function readArguments(args: readonly string[]): Arguments {
  return new Command("deno task soak")
    .description(
      "Lets clients come, go, stall, flood, reset and talk nonsense, and checks what arrives.",
    )
    .option("--seconds <number>", "for how long", whole, 60)
    .option("--clients <number>", "how many", whole, 40)
    .option("--seed <number>", "begin with this one, to see the same again", whole)
    .option(
      "--url <urls...>",
      "a server that runs, as ws://host:port; several: the nodes of a cluster",
    )
    .option("--mailbox-ttl <seconds>", "that of the server at --url", whole, 10)
    .option("--executable <file>", "start this, not the source")
    .parse(args, { from: "user" })
    .opts<Arguments>();
}

function whole(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It takes a whole number.");
}

async function choose({ url: urls, mailboxTtl, executable }: Arguments): Promise<Subject> {
  if (urls !== undefined) {
    const transitMs = urls.length > 1 ? TRANSIT_MS : 0;
    return {
      urls,
      terms: { mailboxTtlMs: mailboxTtl * 1000, noticeMs: NOTICE_MS, transitMs },
      readMemory: null,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }
  const options = executable === undefined ? {} : { command: [executable] };
  const program = await ServingProgram.start(OWN_ARGUMENTS, options);
  return {
    urls: [program.url],
    terms: { mailboxTtlMs: OWN_MAILBOX_TTL_SECONDS * 1000, noticeMs: NOTICE_MS, transitMs: 0 },
    readMemory: hasProc ? () => memoryOf(program.pid).nowBytes : null,
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

/** One line, and one for each violation. */
function describeRound(round: RoundReport): string {
  const { seed, sent, delivered, told, excused, leftBehind, memoryBytes, violations } = round;
  const errors = [...told].map(([code, count]) => `${count} ${code}`).join(", ");
  const memory = memoryBytes === null ? "" : `; memory ${inMebibytes(memoryBytes)}`;
  const line = `round ${seed}: ${sent} sent, ${delivered} delivered, errors ${errors || "none"}, ` +
    `${excused} lost with a connection, ${leftBehind} clients left behind${memory}`;
  return [line, ...violations.map((violation) => `  ${violation}`)].join("\n");
}

if (import.meta.main) await main();
