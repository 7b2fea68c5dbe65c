/** How much one client, one address and all together may ask of the server. */

import { networkOf } from "../http/address.ts";

/** A token bucket: `burst` tokens at once, and `perSecond` new ones each second. */
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

  /** Takes `cost` tokens; false, and none taken, where there are too few. One that costs more than a burst costs a burst. */
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

/** Recipients of a broadcast for which its sender pays one token. */
const RECIPIENTS_PER_TOKEN = 20;

/** What a broadcast costs its sender, in tokens: one frame in becomes many out. */
export function broadcastCost(recipients: number): number {
  return Math.max(1, Math.ceil(recipients / RECIPIENTS_PER_TOKEN));
}

/** Counts connections by the address they come from; IPv6 by its network. */
export class AddressCounter {
  readonly #counts = new Map<string, number>();

  get(address: string): number {
    return this.#counts.get(networkOf(address)) ?? 0;
  }

  add(address: string): void {
    this.#counts.set(networkOf(address), this.get(address) + 1);
  }

  remove(address: string): void {
    const count = this.get(address);
    if (count > 1) this.#counts.set(networkOf(address), count - 1);
    else this.#counts.delete(networkOf(address));
  }
}
