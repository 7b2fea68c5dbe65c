/** The server under test: one that runs already, or one that is started for it, of one node or of several. */

import { hasProc, memoryOf } from "../../tests/helpers/process.ts";
import { type ProgramOptions, ServingProgram } from "../../tests/helpers/program.ts";
import { argsFor, SHORT_TIMES, SoakCluster } from "./cluster.ts";
import type { Failure } from "./failure.ts";
import { type FailureName, FAILURES, mailboxTtlMsFor } from "./failures.ts";
import type { Terms } from "./times.ts";

export interface Subject extends AsyncDisposable {
  readonly urls: readonly string[];
  readonly terms: Terms;
  readonly readMemory: (() => number) | null;
  /** Upper bound of that memory under attack; null if it cannot be seen. */
  readonly maxMemoryBytes: number | null;
  readonly adminUrl?: string | undefined;
  readonly hurt?: () => Promise<readonly Failure[]>;
}

/** The failure of a cluster in the middle of each round. */
interface Harm {
  /** URLs of its nodes. Failures take turns. */
  readonly names: readonly FailureName[];
  /** Duration of each failure, in milliseconds; undefined: as long as it usually takes. */
  readonly durationMs?: number | undefined;
}

/** Bounds of the time in which a server notices the end of a connection, and a message gets from one node to another. */
const NOTICE_MS = 5000;
const TRANSIT_MS = 5000;

const MiB = 1024 ** 2;
const BUFFERED_MIB = 32;
/** The needs of attackers: an address of their own, a password to guess, and a bound that they reach. */
const ATTACKED_ARGS = [
  "--trust-proxy",
  ...["--max-buffered-total", `${BUFFERED_MIB}MiB`],
  ...["--admin", "127.0.0.1:0", "--admin-password", "not to be guessed"],
];
/** The process at work, what waits (three times its bytes), and the mailbox. */
const MAX_MEMORY_BYTES = (192 + 3 * BUFFERED_MIB + 64) * MiB;

export function running(urls: readonly string[], mailboxTtlMs: number): Subject {
  const transitMs = urls.length > 1 ? TRANSIT_MS : 0;
  return {
    urls,
    terms: { mailboxTtlMs, noticeMs: NOTICE_MS, transitMs },
    readMemory: null,
    maxMemoryBytes: null,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

export async function oneNode(options: ProgramOptions): Promise<Subject> {
  const args = [...argsFor(SHORT_TIMES), ...ATTACKED_ARGS];
  const program = await ServingProgram.start(args, { ...options, hasDefaultAdmin: true });
  return {
    urls: [program.url],
    terms: { ...SHORT_TIMES, noticeMs: NOTICE_MS, transitMs: 0 },
    readMemory: hasProc ? () => memoryOf(program.pid).nowBytes : null,
    maxMemoryBytes: hasProc ? MAX_MEMORY_BYTES : null,
    adminUrl: program.adminUrl,
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

export async function ownCluster(
  size: number,
  options: ProgramOptions,
  harm: Harm | null,
): Promise<Subject> {
  const times = (harm?.names ?? []).map((name) => mailboxTtlMsFor(name));
  const mailboxTtlMs = Math.max(SHORT_TIMES.mailboxTtlMs, ...times);
  const terms = { mailboxTtlMs, noticeMs: NOTICE_MS, transitMs: TRANSIT_MS };
  const cluster = await SoakCluster.start(size, terms, options);
  return {
    urls: cluster.urls,
    terms,
    readMemory: null,
    maxMemoryBytes: null,
    ...(harm === null ? {} : { hurt: inTurn(cluster, harm) }),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}

function inTurn(
  cluster: SoakCluster,
  { names, durationMs }: Harm,
): () => Promise<readonly Failure[]> {
  let turn = 0;
  return async () => {
    const failure = FAILURES[names[turn++ % names.length]!];
    return [await failure.hurt(cluster, durationMs ?? failure.durationMs)];
  };
}
