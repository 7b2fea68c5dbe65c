/** The rate limit of a connection, in tokens. */

/** A token bucket that holds `burst` tokens, and gets `perSecond` new ones each second. */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #filledAtMs: number;

  /** @param perSecond 0: no limit */
  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
    this.#filledAtMs = nowMs;
  }

  /** Takes `cost` tokens, but at most a burst; takes none and returns false if there are too few. */
  take(cost: number, nowMs: number): boolean {
    if (this.#perSecond === 0) return true;
    const gained = (nowMs - this.#filledAtMs) / 1000 * this.#perSecond;
    this.#tokens = Math.min(this.#burst, this.#tokens + gained);
    this.#filledAtMs = nowMs;
    const price = Math.min(cost, this.#burst);
    if (this.#tokens < price) return false;
    this.#tokens -= price;
    return true;
  }
}

/** The size that one token pays for, in bytes of UTF-8. */
export const BYTES_PER_TOKEN = 16 * 1024;
/** The recipients of a broadcast that one token pays for. */
const RECIPIENTS_PER_TOKEN = 20;
/** The subscribers that one token pays for: a newcomer to a room of 30 sends 30 answers at once, with candidates. */
export const SUBSCRIBERS_PER_TOKEN = 100;
/** Topics of a subscription that one token pays for: each may be a command to Redis. */
export const TOPICS_PER_TOKEN = 16;
/** Cost of a repeated `register`, which takes a token check and a notice with all peers. */
export const REGISTER_COST = 10;

/** Returns the cost of a message by its size, in tokens. */
export function messageCost(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / BYTES_PER_TOKEN));
}

/** Returns the factor by which a message to several recipients costs more than one to a single client. */
export function broadcastFactor(recipients: number, recipientsPerToken = RECIPIENTS_PER_TOKEN) {
  return Math.max(1, Math.ceil(recipients / recipientsPerToken));
}
