/** Waits for a promise with a timeout. */

import type { Clock } from "../clock.ts";

/** @throws {Error} with this message at the timeout, and what `what` rejects with */
export async function within<Value>(
  ms: number,
  clock: Clock,
  what: Promise<Value>,
  message: string,
): Promise<Value> {
  const late = Promise.withResolvers<never>();
  const cancel = clock.after(ms, () => late.reject(new Error(message)));
  try {
    return await Promise.race([what, late.promise]);
  } finally {
    cancel();
  }
}
