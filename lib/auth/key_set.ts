/** The public keys that tokens are signed with: fetched from their host when they are needed, and seldom. */

import type * as Jose from "jose";
import type { Clock } from "../clock.ts";

type Keys = ReturnType<typeof Jose.createLocalJWKSet>;

export interface KeySetOptions {
  readonly url: URL;
  readonly clock: Clock;
  /** Is told of each fetch that failed. */
  readonly onFailed: (error: Error) => void;
  /** How long the host may take to answer. @default 4000 */
  readonly timeoutMs?: number;
  /** How far apart two fetches begin at the least; a token that needs one sooner waits. @default 1000 */
  readonly spacingMs?: number;
  /** How old the keys may be before they are fetched again. @default 600000 */
  readonly maxAgeMs?: number;
}

const DEFAULTS = { timeoutMs: 4000, spacingMs: 1000, maxAgeMs: 600_000 };

/** Nobody can tell whether the key set has a key: its host does not give it. */
export class KeySetUnavailable extends Error {}

/**
 * A JSON Web Key Set (RFC 7517) at a URL. `createRemoteJWKSet` of jose drops its keys when they are old and the host is
 * down, refuses a new key within its cooldown, and knows no bound on fetches that fail; this one goes on with the keys
 * that it has, lets a token with an unknown one wait for the next fetch, and spaces them all.
 */
export class KeySet {
  readonly #jose: typeof Jose;
  readonly #options: Required<KeySetOptions>;
  #keys: Keys | null = null;
  #fetching: Promise<Keys> | null = null;
  #fetchedAtMs = -Infinity;

  constructor(jose: typeof Jose, options: KeySetOptions) {
    this.#jose = jose;
    this.#options = { ...DEFAULTS, ...options };
  }

  /**
   * The key that a token names.
   *
   * @throws {KeySetUnavailable} where it is not known and could not be asked for
   * @throws `JWKSNoMatchingKey` where there is none, and other errors of jose
   */
  async find(header: Jose.JWSHeaderParameters, token: Jose.FlattenedJWSInput) {
    const keys = this.#keys;
    if (keys === null) return (await this.fetch())(header, token);
    const { clock, maxAgeMs } = this.#options;
    const isOld = clock.now() - this.#fetchedAtMs >= maxAgeMs;
    if (isOld) this.fetch().catch(() => {}); // the known keys serve meanwhile
    try {
      return await keys(header, token);
    } catch (error) {
      if (!(error instanceof this.#jose.errors.JWKSNoMatchingKey)) throw error;
      return await (await this.fetch())(header, token);
    }
  }

  /**
   * Fetches the keys; all who ask meanwhile share the answer.
   *
   * @throws {KeySetUnavailable}
   */
  fetch(): Promise<Keys> {
    this.#fetching ??= this.#fetch().finally(() => this.#fetching = null);
    return this.#fetching;
  }

  async #fetch(): Promise<Keys> {
    const { url, clock, timeoutMs, onFailed } = this.#options;
    await this.#waitForTurn();
    this.#fetchedAtMs = clock.now();
    const abort = new AbortController();
    const late = new Error(`no answer within ${timeoutMs} ms`);
    const cancel = clock.after(timeoutMs, () => abort.abort(late));
    try {
      return this.#keys = this.#jose.createLocalJWKSet(await fetchJson(url, abort.signal));
    } catch (error) {
      onFailed(error as Error);
      throw new KeySetUnavailable("The key set could not be fetched.", { cause: error });
    } finally {
      cancel();
    }
  }

  async #waitForTurn(): Promise<void> {
    const { clock, spacingMs } = this.#options;
    const waitMs = this.#fetchedAtMs + spacingMs - clock.now();
    if (waitMs > 0) await new Promise<void>((resolve) => clock.after(waitMs, resolve));
  }
}

async function fetchJson(url: URL, signal: AbortSignal) {
  const response = await fetch(url, { signal, headers: { accept: "application/json" } });
  if (response.ok) return await response.json();
  await response.body?.cancel();
  throw new Error(`status ${response.status}`);
}
