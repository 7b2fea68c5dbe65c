/** Distinguishes a loss of Redis, which the node logs and repairs, from a bug. */

/** Rejects a request that Redis has not answered: there is no session, it has ended, or the deadline is over. */
export class Disconnected extends Error {}

/**
 * Resolves to what a promise does, or to `fallback` if that rejects. Reports every error but {@link Disconnected} to the
 * runtime: `main.ts` logs it as an internal error, and the process goes on.
 */
export async function unlessDisconnected<Value, Fallback = undefined>(
  promise: Value | Promise<Value>,
  fallback = undefined as Fallback,
): Promise<Value | Fallback> {
  try {
    return await promise;
  } catch (error) {
    if (!(error instanceof Disconnected)) reportError(error);
    return fallback;
  }
}
