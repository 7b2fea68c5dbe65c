/** Closes the clients of a server over time, so that they do not all reconnect at once. */

import type { Clock } from "../clock.ts";

/** Upper bound of the clients that are closed at once. */
const MAX_AT_ONCE = 100;
const STEP_MS = 50;

/** Calls `close` for each item: at once, or spread over a time if there are more than {@link MAX_AT_ONCE}. */
export async function closeSpread<Item>(
  items: Iterable<Item>,
  spreadMs: number,
  clock: Clock,
  close: (item: Item) => void,
): Promise<void> {
  const all = [...items];
  const steps = all.length <= MAX_AT_ONCE ? 1 : Math.max(1, Math.floor(spreadMs / STEP_MS));
  const size = Math.ceil(all.length / steps);
  for (let at = 0; at < all.length; at += size) {
    if (at > 0) await wait(STEP_MS, clock);
    for (const item of all.slice(at, at + size)) close(item);
  }
}

/** Resolves after a time. */
export function wait(ms: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve));
}

/** Resolves when `work` is done, at the latest after a time; rejects if it does before. */
export async function atMost(ms: number, clock: Clock, work: Promise<unknown>): Promise<void> {
  let cancel = () => {};
  const timeUp = new Promise<void>((resolve) => cancel = clock.after(ms, resolve));
  try {
    await Promise.race([work, timeUp]);
  } finally {
    cancel();
  }
}
