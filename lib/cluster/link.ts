/**
 * The ways from this node to the others. All parcels to a node are numbered and kept until that node has acknowledged them,
 * so none is lost, doubled or overtaken while both nodes live, whatever happens to Redis. At most one publication is under
 * way to each node; what comes meanwhile goes together with the next one.
 */

import type { Clock } from "../clock.ts";
import { unlessDisconnected } from "./disconnected.ts";
import type { Node } from "./node.ts";
import { type Parcel, type Shipment, writeShipment } from "./messages.ts";
import { clientKey } from "../relay/vocabulary.ts";

/** Time after which a node acknowledges parcels, if it has nothing to send by then, in milliseconds. */
const ACKNOWLEDGE_MS = 20;
/** Time without an acknowledgement after which parcels are sent again, in milliseconds. */
const REPEAT_MS = 2000;
/** Time without a sign of a node that does not acknowledge parcels after which it counts as dead, in milliseconds. */
const SILENCE_MS = 20_000;
/**
 * Time within which a living node acknowledges a parcel. When a node dies, what was sent to it within this time after the
 * first parcel that it has not acknowledged may have been delivered; nothing later was. In milliseconds.
 */
const DELIVERY_LIMIT_MS = 250;
/** Upper bound of the characters that one publication carries. */
const MAX_CHARS = 256 * 1024;
/** Time without a parcel after which a node that has died is forgotten, in milliseconds. */
const FORGET_MS = 60_000;

/** Upper bound of the broadcasts that wait for parcels. Past it, they are delivered out of order. */
const MAX_PENDING = 1000;
/** Upper bound of the clients of which a node remembers that it has returned something. */
const MAX_RETURNED = 10_000;
/** Numbers rise for as long as this process lives, even if a node is forgotten: by this for each millisecond. */
const NUMBERS_PER_MS = 1000;

/** Something that is sent, with the item of the forwarder that it stands for; null for requests and responses. */
export interface Sent<Item> {
  readonly parcel: Parcel;
  readonly item: Item | null;
}

interface Entry<Item> extends Sent<Item> {
  readonly number: number;
  readonly handledReturn: number;
  /** Time of the first publication; Infinity before. */
  publishedAtMs: number;
  /** True if Redis has confirmed a publication. */
  isConfirmed: boolean;
  /** True unless the other node was not subscribed at any. */
  mayBeReceived: boolean;
}

export interface LinkHooks<Item> {
  /** Delivers a parcel of another node; returns false if this node cannot. */
  deliver(node: string, parcel: Parcel): boolean;
  /** Handles a request or a response of another node. */
  onControl(node: string, parcel: Parcel): void;
  /** Called with items that need not be kept any more: they were delivered, or may have been. */
  onDone(items: readonly Item[]): void;
  /** Called with items that were not delivered, in order. */
  onReturned(items: readonly Item[], node: string): void;
  /** Returns false while this node may have lost its clients' IDs. */
  mayDeliver(): boolean;
}

export class Link<Item> {
  readonly node: string;
  readonly #self: Node;
  readonly #clock: Clock;
  readonly #hooks: LinkHooks<Item>;
  readonly #channel: string;
  /** What the other node has not acknowledged, in order: the first ones have been published. */
  readonly #entries: Entry<Item>[] = [];
  #published = 0;
  #lastNumber: number;
  /** The highest number that the other node has acknowledged, or that was dropped before it was published. */
  #acknowledged: number;
  /** The highest number that was returned, and handled. */
  #handledReturn: number;
  #isPublishing = false;
  /** The highest number received; -1 before the first. */
  #received = -1;
  /** Numbers received that could not be delivered, until the other node has handled that. */
  #returned: number[] = [];
  /** The number of the last parcel of each client that was returned. Later ones must not overtake it. */
  readonly #returnedKeys = new Map<string, number>();
  #hasGap = false;
  #owesAcknowledgement = false;
  #cancelTimer: (() => void) | null = null;
  /** True if the other node has died. It may come back. */
  isDead = false;
  #receivedAtMs: number;
  /** What waits until the parcel with this number has come. */
  readonly #pending: { readonly number: number; run(): void }[] = [];

  constructor(node: string, channel: string, self: Node, clock: Clock, hooks: LinkHooks<Item>) {
    this.node = node;
    this.#channel = channel;
    this.#self = self;
    this.#clock = clock;
    this.#hooks = hooks;
    this.#receivedAtMs = clock.now();
    this.#lastNumber = this.#acknowledged = this.#handledReturn = Math.floor(clock.now()) *
      NUMBERS_PER_MS;
  }

  /** The number of the last parcel, if any is not acknowledged yet; else 0. */
  get lastPending(): number {
    return this.#entries.at(-1)?.number ?? 0;
  }

  /** True if nothing is lost when this is forgotten. */
  get isForgettable(): boolean {
    return this.isDead && this.#clock.now() > this.#receivedAtMs + FORGET_MS;
  }

  send(sent: Sent<Item>): void {
    this.#entries.push({
      ...sent,
      number: ++this.#lastNumber,
      handledReturn: this.#handledReturn,
      publishedAtMs: Infinity,
      isConfirmed: false,
      mayBeReceived: false,
    });
    this.flush();
  }

  /** Publishes what is pending, unless a publication is under way. */
  flush(): void {
    if (this.#isPublishing || !this.#self.isReady) return;
    const batch = this.#nextBatch();
    if (batch.length === 0 && !this.#owesAcknowledgement) return;
    const nowMs = this.#clock.now();
    const previous = this.#entries[this.#published - 1]?.number ?? this.#acknowledged;
    for (const entry of batch) entry.publishedAtMs = Math.min(entry.publishedAtMs, nowMs);
    this.#published += batch.length;
    this.#owesAcknowledgement = false;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    const text = writeShipment({
      node: this.#self.id,
      received: this.#received,
      returned: this.#returned,
      hasGap: this.#hasGap,
      handledReturn: this.#handledReturn,
      acknowledged: this.#acknowledged,
      previous,
      deadlineMs: this.#self.deadlineMs,
      parcels: batch,
    });
    this.#hasGap = false;
    this.#isPublishing = true;
    const before = batch.map(({ mayBeReceived }) => mayBeReceived);
    for (const entry of batch) entry.mayBeReceived = true;
    unlessDisconnected(this.#self.publish(this.#channel, text), null).then((subscribers) => {
      for (const [index, entry] of batch.entries()) {
        if (subscribers !== null) entry.isConfirmed = true;
        if (subscribers === 0) entry.mayBeReceived = before[index]!;
      }
      this.#isPublishing = false;
      this.flush();
    });
  }

  #nextBatch(): Entry<Item>[] {
    let [end, chars] = [this.#published, 0];
    while (end < this.#entries.length && chars < MAX_CHARS) {
      chars += this.#entries[end++]!.parcel.text.length;
    }
    return this.#entries.slice(this.#published, end);
  }

  /** Handles what the other node has published. */
  receive(shipment: Shipment): void {
    this.isDead = false;
    this.#receivedAtMs = this.#clock.now();
    if (this.#returned.length > 0 && shipment.handledReturn >= this.#returned[0]!) {
      this.#returned = this.#returned.filter((number) => number > shipment.handledReturn);
    }
    this.#handleAcknowledgement(shipment);
    const mayDeliver = this.#hooks.mayDeliver();
    // After a pause of this node a late message is no sign that its sender was notified.
    if (mayDeliver && shipment.deadlineMs < this.#self.redisTimeMs) return;
    this.#handleParcels(shipment, mayDeliver);
  }

  #handleParcels({ parcels, acknowledged, previous }: Shipment, mayDeliver: boolean): void {
    this.#received = Math.max(this.#received, acknowledged);
    let [before, hasReturned] = [previous, false];
    for (const { number, handledReturn, parcel } of parcels) {
      if (before > this.#received) {
        this.#hasGap = true;
        break;
      }
      before = number;
      if (number <= this.#received) continue;
      this.#received = number;
      const key = clientKey(parcel.room, parcel.targetId);
      if (handledReturn >= (this.#returnedKeys.get(key) ?? Infinity)) {
        this.#returnedKeys.delete(key);
      }
      if (!this.#handle(number, key, parcel, mayDeliver)) hasReturned = true;
      this.#runPending();
    }
    if (parcels.length > 0) this.#acknowledge(hasReturned || this.#hasGap);
  }

  /** Returns false if the parcel is returned. Later ones for the same client must not overtake it. */
  #handle(number: number, key: string, parcel: Parcel, mayDeliver: boolean): boolean {
    const { kind } = parcel;
    if (kind === "request" || kind === "response") {
      this.#hooks.onControl(this.node, parcel);
      return true;
    }
    const isFirst = mayDeliver && !this.#returnedKeys.has(key);
    if (isFirst && this.#hooks.deliver(this.node, parcel)) return true;
    this.#returned.push(number);
    this.#returnedKeys.delete(key); // so that it moves to the end
    this.#returnedKeys.set(key, number);
    if (this.#returnedKeys.size > MAX_RETURNED) {
      this.#returnedKeys.delete(this.#returnedKeys.keys().next().value!);
    }
    return false;
  }

  #acknowledge(isUrgent: boolean): void {
    this.#owesAcknowledgement = true;
    if (isUrgent) this.flush();
    else this.#cancelTimer ??= this.#clock.after(ACKNOWLEDGE_MS, () => this.flush());
  }

  #handleAcknowledgement({ received, returned, hasGap }: Shipment): void {
    const lost = new Set(returned);
    const [done, back]: [Item[], Item[]] = [[], []];
    let count = 0;
    for (; (this.#entries[count]?.number ?? Infinity) <= received; count++) {
      const { number, item } = this.#entries[count]!;
      if (item !== null) (lost.has(number) ? back : done).push(item);
      this.#acknowledged = number;
    }
    this.#entries.splice(0, count);
    this.#published = Math.max(0, this.#published - count);
    this.#handledReturn = Math.max(this.#handledReturn, returned.at(-1) ?? 0); // in order
    if (hasGap) this.repeat();
    if (done.length > 0) this.#hooks.onDone(done);
    if (back.length > 0) this.#hooks.onReturned(back, this.node);
  }

  /** Publishes everything again that was not acknowledged: the other node ignores what it has received. */
  repeat(): void {
    this.#published = 0;
    this.flush();
  }

  /** Goes on after a time without Redis, in which the other node could give no sign. */
  resume(): void {
    this.#receivedAtMs = this.#clock.now();
    this.repeat();
  }

  /** Repeats what was not acknowledged for too long. Called again and again. */
  check(): void {
    const sentAtMs = this.#entries[0]?.publishedAtMs ?? Infinity;
    const nowMs = this.#clock.now();
    if (sentAtMs >= nowMs - REPEAT_MS || this.#isPublishing) return;
    const silentSinceMs = Math.max(sentAtMs, this.#receivedAtMs);
    // Redis cannot say that a node has died if it has lost all that it knew of it.
    if (!this.isDead && silentSinceMs < nowMs - SILENCE_MS) this.onDead();
    else this.repeat(); // also to a dead node: it may have come back, and be silent
  }

  /** Handles that the other node has left in good order: it has acknowledged all that it received. */
  onLeft(): void {
    this.isDead = true;
    this.#return(this.#removeFrom(0));
  }

  /** Handles that the other node is dead, or cut off. What may have been delivered is kept, in case that it comes back. */
  onDead(): void {
    this.isDead = true;
    const [first] = this.#entries;
    const lastDeliveryMs = (first?.publishedAtMs ?? 0) + DELIVERY_LIMIT_MS;
    const mayBeDelivered = ({ mayBeReceived, publishedAtMs }: Entry<Item>) =>
      mayBeReceived && publishedAtMs <= lastDeliveryMs;
    const all = this.#removeFrom(0);
    this.#entries.push(...all.filter(mayBeDelivered));
    this.#published = this.#entries.length;
    const rest = all.filter((entry) => !mayBeDelivered(entry));
    this.#hooks.onDone(itemsOf(this.#entries)); // they hold up nothing any more
    this.#return(rest);
  }

  #return(entries: readonly Entry<Item>[]): void {
    if (entries.length > 0) this.#hooks.onReturned(itemsOf(entries), this.node);
  }

  #removeFrom(start: number): Entry<Item>[] {
    const taken = this.#entries.splice(start);
    this.#published = Math.min(this.#published, start);
    return taken;
  }

  /** Takes out what Redis has not confirmed: after its deadline it is not delivered any more. */
  removeUnconfirmed(): Item[] {
    const start = this.#entries.findIndex(({ isConfirmed }) => !isConfirmed);
    return start === -1 ? [] : itemsOf(this.#removeFrom(start));
  }

  /** Runs an action once the parcel with this number has come; a broadcast was sent after it. */
  after(number: number, run: () => void): void {
    if (number === 0) this.runAllPending(); // the other node has nothing under way
    if (number <= Math.max(0, this.#received) && this.#pending.length === 0) return run();
    if (this.#pending.push({ number, run }) > MAX_PENDING) this.runAllPending();
  }

  #runPending(): void {
    while ((this.#pending[0]?.number ?? Infinity) <= this.#received) this.#pending.shift()!.run();
  }

  runAllPending(): void {
    for (const { run } of this.#pending.splice(0)) run();
  }

  /** Returns whether a parcel for this client was returned, and may come again. */
  hasReturned(key: string): boolean {
    return this.#returnedKeys.has(key);
  }

  /** True if nothing is under way, either way. */
  get isIdle(): boolean {
    return !this.#isPublishing && !this.#owesAcknowledgement &&
      (this.#entries.length === 0 || this.isDead);
  }

  stop(): void {
    this.#cancelTimer?.();
  }
}

function itemsOf<Item>(entries: readonly Entry<Item>[]): Item[] {
  return entries.map(({ item }) => item).filter((item) => item !== null);
}
