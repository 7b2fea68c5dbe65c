/** A soak: rounds, one after the other, until the time is up; what they found, and how the server was left after each. */

import { clientsAt } from "../../tests/helpers/health.ts";
import type { PairTimes } from "../../tests/helpers/pair.ts";
import { Attackers } from "./attackers.ts";
import { MeasuredPair } from "./measured_pair.ts";
import { pause } from "./pause.ts";
import { playRound, type RoundOptions } from "./round.ts";
import type { Terms } from "./times.ts";
import type { Verdict } from "./verdict.ts";

interface SoakOptions {
  /** The nodes of one server, as `ws://…`. */
  readonly urls: readonly string[];
  readonly participants: number;
  readonly seconds: number;
  /** Seed of the first round; each further round has the next one. */
  readonly seed: number;
  readonly terms: Terms;
  /** The server's resident memory in bytes; null if that cannot be seen. */
  readonly readMemory: (() => number) | null;
  /** The address of the admin page, whose password attackers guess; undefined if they shall not. */
  readonly adminUrl?: string | undefined;
  /** See {@link playRound}; once in each round, and then without attackers. */
  readonly hurt?: RoundOptions["hurt"];
  readonly onRound: (round: RoundReport) => void;
}

export interface RoundReport extends Verdict {
  readonly seed: number;
  /** Clients that the server still had when all had gone. */
  readonly leftBehind: number;
  /** Null if it cannot be seen. */
  readonly memoryBytes: number | null;
  /** Times of a well-behaved pair while the attackers were at it; null without them. */
  readonly pair: PairTimes | null;
}

/** Longer ones would only make the books longer. */
const LONGEST_ROUND_MS = 10_000;
/** Time that the server may take to notice that all clients have left. */
const TIMEOUT_MS = 10_000;

export async function soak(options: SoakOptions): Promise<readonly RoundReport[]> {
  const { urls, participants, seconds, terms, hurt, adminUrl } = options;
  const strangers = await countClients(urls);
  const endAtMs = performance.now() + seconds * 1000;
  const rounds: RoundReport[] = [];
  while (performance.now() < endAtMs) {
    const seed = options.seed + rounds.length;
    const activeMs = Math.min(LONGEST_ROUND_MS, endAtMs - performance.now());
    const [verdict, pair] = await Promise.all([
      playRound({ urls, participants, activeMs, seed, terms, hurt }),
      hurt === undefined ? attackBeside(urls[0]!, adminUrl, activeMs) : null,
    ]);
    const leftBehind = await countLeftBehind(urls, strangers);
    const memoryBytes = options.readMemory?.() ?? null;
    const round = { ...verdict, seed, leftBehind, memoryBytes, pair };
    rounds.push(round);
    options.onRound(round);
  }
  return rounds;
}

async function attackBeside(
  url: string,
  adminUrl: string | undefined,
  durationMs: number,
): Promise<PairTimes> {
  const pair = new MeasuredPair(url);
  using _attackers = new Attackers({ url, adminUrl });
  await pause(durationMs);
  return await pair.finish();
}

async function countLeftBehind(urls: readonly string[], strangers: number): Promise<number> {
  const giveUpAtMs = performance.now() + TIMEOUT_MS;
  while (true) {
    const leftBehind = await countClients(urls) - strangers;
    if (leftBehind <= 0 || performance.now() > giveUpAtMs) return leftBehind;
    await pause(50);
  }
}

async function countClients(urls: readonly string[]): Promise<number> {
  const counts = await Promise.all(urls.map((url) => clientsAt(url.replace(/^ws/, "http"))));
  return counts.reduce((sum, count) => sum + count, 0);
}
