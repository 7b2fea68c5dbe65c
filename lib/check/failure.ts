/** Failure of a step of the check. */

/** Says what is wrong, what the likely reason is, and what to do. */
export class Failure extends Error {}

/**
 * Waits for a promise, for a bounded time.
 *
 * @throws {Failure} with the message when the time is over
 */
export async function within<Value>(
  ms: number,
  promise: Promise<Value>,
  message: string,
): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Failure(message)), ms);
  });
  try {
    return await Promise.race([promise, expired]);
  } finally {
    clearTimeout(timer);
  }
}

/** Quotes what another program has sent: one line, bounded, without control and format characters. */
export function quote(text: string): string {
  return JSON.stringify(text.replaceAll(/[\p{C}\s]+/gu, " ").trim().slice(0, MAX_QUOTED_CHARS));
}

const MAX_QUOTED_CHARS = 200;

/** Shows a URL without credentials, query and fragment: they may hold secrets. */
export function showUrl({ protocol, host, pathname, search }: URL): string {
  return `${protocol}//${host}${pathname}${search && "?…"}`;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
