/** One round of a soak: all participants join, act for a while, and leave; then the ledger is judged. */

import { Random } from "../../tests/helpers/random.ts";
import { Ledger } from "./ledger.ts";
import { talkInDialects } from "./dialects.ts";
import { Observer } from "./observer.ts";
import { Participant } from "./participant.ts";
import type { Failure } from "./failure.ts";
import { pause } from "./pause.ts";
import { type Terms, UNCONFIRMED_MS } from "./times.ts";
import { judge, type Verdict } from "./verdict.ts";

export interface RoundOptions {
  /** The nodes of one server, as `ws://…`. */
  readonly urls: readonly string[];
  readonly participants: number;
  /** Time for which they go on; what is still under way then takes some time more. */
  readonly activeMs: number;
  readonly seed: number;
  readonly terms: Terms;
  /** Injects failures while the participants act, and returns them once the server has recovered. */
  readonly hurt?: (() => Promise<readonly Failure[]>) | undefined;
}

/** The share of those who stay and behave: among them nothing may be lost whatever the others do. */
const STEADY_SHARE = 0.3;
const STEADY_SHARE_WITH_FAILURES = 0.5;
/** Part of the messages in a round with a failure that go to all, so that they mix with those to one. */
const BROADCAST_SHARE_WITH_FAILURES = 0.3;
/** IDs that are talked to, and never come. */
const ABSENT_IDS = ["absent", "absent too"];
/** Time in which the server notices that the last clients have disconnected. */
const TIMEOUT_MS = 60_000;
/** Time for which a client waits for an answer. From a server that fails it expects less. */
const CLIENT_TIMEOUT_MS = 30_000;
const CLIENT_TIMEOUT_WITH_FAILURES_MS = 4000;
/** Time before and after a failure in which all is well. */
const CALM_MS = 2000;

export async function playRound(options: RoundOptions): Promise<Verdict> {
  const { urls, participants, activeMs, seed, terms, hurt } = options;
  const ledger = new Ledger();
  const timeoutMs = hurt === undefined ? CLIENT_TIMEOUT_MS : CLIENT_TIMEOUT_WITH_FAILURES_MS;
  const steadyShare = hurt === undefined ? STEADY_SHARE : STEADY_SHARE_WITH_FAILURES;
  const observer = new Observer({ url: urls.at(-1)!, ledger, timeoutMs });
  await observer.register("observer");
  const names = Array.from({ length: participants }, (_, n) => `participant ${n}`);
  const broadcastShare = hurt === undefined ? 0 : BROADCAST_SHARE_WITH_FAILURES;
  const deps = { urls, ledger, timeoutMs, ids: [...names, ...ABSENT_IDS], broadcastShare };
  const people = names.map((id, n) =>
    new Participant(id, n < participants * steadyShare, new Random(seed + n), deps)
  );
  let isOver = false;
  const running = people.map((person) => person.run(() => isOver));
  if (urls.length === 1) { // between nodes topics promise no delivery
    running.push(
      talkInDialects(urls[0]!, ["participant 0", "participant 1"], ledger, () => isOver),
    );
  }
  const [failures] = await Promise.all([hurt ? hurtInTheMiddle(hurt) : [], pause(activeMs)]);
  isOver = true;
  await Promise.all(running);
  await settle(people, terms, failures);
  await Promise.all(people.map((person) => person.end()));
  await observer.end(TIMEOUT_MS);
  return judge(ledger, terms, failures);
}

async function hurtInTheMiddle(
  hurt: () => Promise<readonly Failure[]>,
): Promise<readonly Failure[]> {
  await pause(CALM_MS);
  const failures = await hurt();
  await pause(CALM_MS);
  return failures;
}

/** Waits until nothing is under way any more: stored messages have been delivered or have expired, too. */
async function settle(
  people: readonly Participant[],
  { mailboxTtlMs, transitMs }: Terms,
  failures: readonly Failure[],
): Promise<void> {
  await Promise.all(people.map((person) => person.settle()));
  const unsureMs = failures.length > 0 ? UNCONFIRMED_MS : 0;
  await pause(transitMs + 2 * mailboxTtlMs + unsureMs);
  await Promise.all(people.map((person) => person.settle()));
}
