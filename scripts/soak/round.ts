/** One round of a soak: everybody comes, does what they do for a while, settles, and goes; then it is judged. */

import { Random } from "../../tests/helpers/random.ts";
import { Ledger } from "./ledger.ts";
import { Observer } from "./observer.ts";
import { Participant } from "./participant.ts";
import { pause } from "./pause.ts";
import { judge, type Terms, type Verdict } from "./verdict.ts";

export interface RoundOptions {
  /** The nodes of one server, as `ws://…`. */
  readonly urls: readonly string[];
  readonly participants: number;
  /** How long they go on; what is still under way then takes some time more. */
  readonly activeMs: number;
  readonly seed: number;
  readonly terms: Terms;
  /** Called once all are at it, for who wants to hurt the server meanwhile. */
  readonly onActive?: () => void;
}

/** The share of those who stay and behave: among them nothing may be lost whatever the others do. */
const STEADY_SHARE = 0.3;
/** IDs that are talked to, and never come. */
const ABSENT_IDS = ["nobody", "nobody else"];
/** How long the server may take to notice that the last have left. */
const PATIENCE_MS = 60_000;

export async function playRound(options: RoundOptions): Promise<Verdict> {
  const { urls, participants, activeMs, seed, terms } = options;
  const ledger = new Ledger();
  const observer = new Observer(ledger);
  await observer.register(urls[0]!, "observer");
  const names = Array.from({ length: participants }, (_, n) => `participant ${n}`);
  const surroundings = { urls, ledger, ids: [...names, ...ABSENT_IDS] };
  const people = names.map((id, n) =>
    new Participant(id, n < participants * STEADY_SHARE, new Random(seed + n), surroundings)
  );
  const endAtMs = performance.now() + activeMs;
  const running = people.map((person) => person.run(() => performance.now() >= endAtMs));
  options.onActive?.();
  await Promise.all(running);
  await settle(people, terms);
  await Promise.all(people.map((person) => person.end()));
  await observer.end(PATIENCE_MS);
  return judge(ledger, terms);
}

/** Waits until nothing is under way any more: what is kept for somebody has come to its end, too. */
async function settle(people: readonly Participant[], { mailboxTtlMs, transitMs }: Terms) {
  await Promise.all(people.map((person) => person.settle()));
  await pause(transitMs + 2 * mailboxTtlMs);
  await Promise.all(people.map((person) => person.settle()));
}
