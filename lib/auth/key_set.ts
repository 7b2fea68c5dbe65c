/** The public keys of tokens: a JSON Web Key Set (RFC 7517) at a URL. */

import type * as Jose from "jose";
import type { Clock } from "../clock.ts";

export interface KeySetOptions {
  readonly url: URL;
  readonly clock: Clock;
  /** Reports each fetch that failed; there is at most one a second. */
  readonly onFailed: (error: Error) => void;
  /** Time that a fetch may take, in milliseconds. @default 5000 */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 5000;
/** Interval between two fetches, in milliseconds. It bounds what tokens with unknown keys cost the host. */
const FETCH_INTERVAL_MS = 1000;
/** Age at which keys are fetched again in the background, in milliseconds, so that withdrawn ones are dropped. */
const MAX_AGE_MS = 600_000;

/** The keys could not be fetched, so an unknown key may exist or not. */
export class KeySetUnavailable extends Error {}

/**
 * Creates a function that finds the key of a token, and fetches the keys when needed. Known keys stay valid while their
 * host is down. A token with an unknown key waits for the next fetch.
 */
export function createKeySet(jose: typeof Jose, options: KeySetOptions): Jose.JWTVerifyGetKey {
  const { url, clock, onFailed, timeoutMs = TIMEOUT_MS } = options;
  let fetchedAtMs = -Infinity;

  async function fetchKeys(url: string, init: RequestInit): Promise<Response> {
    const waitMs = fetchedAtMs + FETCH_INTERVAL_MS - clock.now();
    if (waitMs > 0) await new Promise<void>((resolve) => clock.after(waitMs, resolve));
    fetchedAtMs = clock.now();
    try {
      const response = await fetch(url, { ...init, redirect: "follow" });
      const text = await response.text();
      if (response.status !== 200) throw new Error(`HTTP status ${response.status}`);
      jose.createLocalJWKSet(JSON.parse(text)); // throws if it is not a key set
      return new Response(text);
    } catch (caught) {
      const error = caught as Error;
      const isLate = error.name === "TimeoutError"; // its message differs between versions of Deno
      onFailed(isLate ? new Error(`no answer within ${timeoutMs} ms`) : error);
      throw new KeySetUnavailable("The key set could not be fetched.", { cause: error });
    }
  }

  const keys = jose.createRemoteJWKSet(url, {
    [jose.customFetch]: fetchKeys,
    timeoutDuration: timeoutMs,
    cooldownDuration: 0, // jose would refuse unknown keys meanwhile; fetchKeys() waits instead
    cacheMaxAge: Infinity, // jose would drop the known keys while their host is down
  });
  const refresh = () => void keys.reload().catch(() => {}); // fetchKeys() has reported it
  refresh();
  return (header, token) => {
    if (clock.now() - fetchedAtMs >= MAX_AGE_MS) refresh();
    return keys(header, token);
  };
}
