/**
 * Delivers packets from this node to another one and back, each once and in order while both nodes live. A node numbers its
 * packets, and stores each until the other node has acknowledged it. One publication at a time is in flight to a node.
 */

import type { Clock } from "../clock.ts";
import { unlessDisconnected } from "./disconnected.ts";
import type { Node } from "./node.ts";
import { type Packet, type Publication, writePublication } from "./messages.ts";
import { clientKey } from "../relay/vocabulary.ts";

/** Delay of an acknowledgement that no packet carries, in milliseconds. */
const ACKNOWLEDGE_MS = 20;
/** Time after which a node publishes unacknowledged packets again, in milliseconds. */
const REPEAT_MS = 2000;
/** Time after which a node that owes an acknowledgement and publishes nothing counts as dead, in milliseconds. */
const SILENCE_MS = 20_000;
/**
 * Upper bound of the time from a delivery to its acknowledgement, in milliseconds. A dead node has delivered no packet that
 * was published later than this after Redis had confirmed the first unacknowledged one.
 */
const DELIVERY_LIMIT_MS = 250;
/** Number of characters after which a publication takes no further packet. */
const MAX_CHARS = 256 * 1024;
/** Time after which a dead node that publishes nothing is forgotten, in milliseconds. */
const FORGET_MS = 60_000;

/** Upper bound of the broadcasts that wait for packets. Past it, the node delivers them out of order. */
const MAX_PENDING = 1000;
/** Upper bound of the clients whose returned packets a node remembers. */
const MAX_RETURNED = 10_000;
/** Factor from the clock's milliseconds to a link's first number, so that numbers rise even after a node was forgotten. */
const NUMBERS_PER_MS = 1000;

/** A packet to send, and the item of the forwarder that it carries; null for a request or a response. */
export interface Sent<Item> {
  readonly packet: Packet;
  readonly item: Item | null;
}

interface Entry<Item> extends Sent<Item> {
  readonly number: number;
  readonly handledReturn: number;
  /** Time of the first publication, in milliseconds; Infinity before. */
  publishedAtMs: number;
  /** Time at which Redis has confirmed a publication, in milliseconds; Infinity before. */
  confirmedAtMs: number;
  /** True if the other node may have been subscribed at a publication. */
  mayBeReceived: boolean;
}

interface LinkHooks<Item> {
  /** Delivers a packet of another node; returns false if this node cannot. */
  deliver(node: string, packet: Packet): boolean;
  /** Handles a request or a response of another node. */
  onControl(node: string, packet: Packet): void;
  /** Called with items that were delivered, or may have been. */
  onDone(items: readonly Item[]): void;
  /** Called with items that the other node has not delivered, in order. */
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
  /** Unacknowledged packets in order; the first `#published` ones have been published. */
  readonly #entries: Entry<Item>[] = [];
  #published = 0;
  #lastNumber: number;
  /** The highest number that the other node has acknowledged. */
  #acknowledged: number;
  /** The highest number whose return this node has handled. */
  #handledReturn: number;
  #isPublishing = false;
  /** The highest number received; -1 before the first. */
  #received = -1;
  /** Numbers of packets that this node returns, until the other node has handled that. */
  #returned: number[] = [];
  /** The number of the last returned packet of each client, which later ones must not overtake. */
  readonly #returnedKeys = new Map<string, number>();
  #hasGap = false;
  #owesAcknowledgement = false;
  #cancelTimer: (() => void) | null = null;
  /** True if the other node is dead. It may come back. */
  isDead = false;
  /** Time of the last publication from the other node, in milliseconds. */
  #receivedAtMs: number;
  /** Broadcasts, each with the number of the packet that it waits for. */
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

  /** The number of the last unacknowledged packet; 0 if there is none. */
  get lastPending(): number {
    return this.#entries.at(-1)?.number ?? 0;
  }

  /** True if the other node has been dead for so long that it can be forgotten. */
  get isForgettable(): boolean {
    return this.isDead && this.#clock.now() > this.#receivedAtMs + FORGET_MS;
  }

  send(sent: Sent<Item>): void {
    this.#entries.push({
      ...sent,
      number: ++this.#lastNumber,
      handledReturn: this.#handledReturn,
      publishedAtMs: Infinity,
      confirmedAtMs: Infinity,
      mayBeReceived: false,
    });
    this.flush();
  }

  /** Publishes pending packets, unless a publication is in flight. */
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
    const text = writePublication({
      node: this.#self.id,
      received: this.#received,
      returned: this.#returned,
      hasGap: this.#hasGap,
      handledReturn: this.#handledReturn,
      acknowledged: this.#acknowledged,
      previous,
      deadlineMs: this.#self.deadlineMs,
      packets: batch,
    });
    this.#hasGap = false;
    this.#isPublishing = true;
    const before = batch.map(({ mayBeReceived }) => mayBeReceived);
    for (const entry of batch) entry.mayBeReceived = true;
    unlessDisconnected(this.#self.publish(this.#channel, text), null).then((subscribers) => {
      const confirmedAtMs = subscribers === null ? Infinity : this.#clock.now();
      for (const [index, entry] of batch.entries()) {
        entry.confirmedAtMs = Math.min(entry.confirmedAtMs, confirmedAtMs);
        if (subscribers === 0) entry.mayBeReceived = before[index]!;
      }
      this.#isPublishing = false;
      this.flush();
    });
  }

  #nextBatch(): Entry<Item>[] {
    let [end, chars] = [this.#published, 0];
    while (end < this.#entries.length && chars < MAX_CHARS) {
      chars += this.#entries[end++]!.packet.text.length;
    }
    return this.#entries.slice(this.#published, end);
  }

  /** Handles what the other node has published. */
  receive(publication: Publication): void {
    this.isDead = false;
    this.#receivedAtMs = this.#clock.now();
    if (this.#returned.length > 0 && publication.handledReturn >= this.#returned[0]!) {
      this.#returned = this.#returned.filter((number) => number > publication.handledReturn);
    }
    this.#handleAcknowledgement(publication);
    const mayDeliver = this.#hooks.mayDeliver();
    // While this node has no lease, it returns late packets too: their senders may not have been notified.
    if (mayDeliver && publication.deadlineMs < this.#self.redisTimeMs) return;
    this.#handlePackets(publication, mayDeliver);
  }

  #handlePackets({ packets, acknowledged, previous }: Publication, mayDeliver: boolean): void {
    this.#received = Math.max(this.#received, acknowledged);
    let [before, hasReturned] = [previous, false];
    for (const { number, handledReturn, packet } of packets) {
      if (before > this.#received) {
        this.#hasGap = true;
        break;
      }
      before = number;
      if (number <= this.#received) continue;
      this.#received = number;
      const key = clientKey(packet.room, packet.targetId);
      if (handledReturn >= (this.#returnedKeys.get(key) ?? Infinity)) {
        this.#returnedKeys.delete(key);
      }
      if (!this.#handle(number, key, packet, mayDeliver)) hasReturned = true;
      this.#runPending();
    }
    if (packets.length > 0) this.#acknowledge(hasReturned || this.#hasGap);
  }

  /** Handles a packet; returns false if this node returns it, as it does with later ones for the same client. */
  #handle(number: number, key: string, packet: Packet, mayDeliver: boolean): boolean {
    const { kind } = packet;
    if (kind === "request" || kind === "response") {
      this.#hooks.onControl(this.node, packet);
      return true;
    }
    const isFirst = mayDeliver && !this.#returnedKeys.has(key);
    if (isFirst && this.#hooks.deliver(this.node, packet)) return true;
    this.#returned.push(number);
    this.#returnedKeys.delete(key); // moves it to the end
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

  #handleAcknowledgement({ received, returned, hasGap }: Publication): void {
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
    this.#handledReturn = Math.max(this.#handledReturn, returned.at(-1) ?? 0); // numbers rise
    if (hasGap) this.repeat();
    if (done.length > 0) this.#hooks.onDone(done);
    if (back.length > 0) this.#hooks.onReturned(back, this.node);
  }

  /** Publishes all unacknowledged packets again; the other node ignores those that it has received. */
  repeat(): void {
    this.#published = 0;
    this.flush();
  }

  /** Resumes after a time without Redis, in which the other node could not publish. */
  resume(): void {
    this.#receivedAtMs = this.#clock.now();
    this.repeat();
  }

  /** Publishes packets again that the other node has not acknowledged in time. Called at each heartbeat. */
  check(): void {
    const sentAtMs = this.#entries[0]?.publishedAtMs ?? Infinity;
    const nowMs = this.#clock.now();
    if (sentAtMs >= nowMs - REPEAT_MS || this.#isPublishing) return;
    const silentSinceMs = Math.max(sentAtMs, this.#receivedAtMs);
    // A Redis that has lost its data does not publish that a node is dead.
    if (!this.isDead && silentSinceMs < nowMs - SILENCE_MS) this.onDead();
    else this.repeat(); // to a dead node too: it may have come back, and publish nothing by itself
  }

  /** Returns all unacknowledged items: the other node has left, and had acknowledged all that it received. */
  onLeft(): void {
    this.isDead = true;
    this.#return(this.#removeFrom(0));
  }

  /** Returns items that a dead node cannot have delivered. Packets that it may have delivered stay, in case it comes back. */
  onDead(): void {
    this.isDead = true;
    const [first] = this.#entries;
    const lastDeliveryMs = (first?.confirmedAtMs ?? 0) + DELIVERY_LIMIT_MS;
    const mayBeDelivered = ({ mayBeReceived, publishedAtMs }: Entry<Item>) =>
      mayBeReceived && publishedAtMs <= lastDeliveryMs;
    const all = this.#removeFrom(0);
    this.#entries.push(...all.filter(mayBeDelivered));
    this.#published = this.#entries.length;
    const rest = all.filter((entry) => !mayBeDelivered(entry));
    this.#hooks.onDone(itemsOf(this.#entries)); // newer messages need not wait for these
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

  /**
   * Removes and returns items that Redis has not confirmed; other nodes drop them after their deadline. Notices stay, because
   * their senders cannot be notified.
   */
  removeUnconfirmed(): Item[] {
    const start = this.#entries.findIndex(({ confirmedAtMs }) => confirmedAtMs === Infinity);
    if (start === -1) return [];
    const unconfirmed = this.#removeFrom(start);
    const isNotice = ({ packet }: Entry<Item>) => packet.kind === "notice";
    this.#entries.push(...unconfirmed.filter(isNotice));
    return itemsOf(unconfirmed.filter((entry) => !isNotice(entry)));
  }

  /** Runs the delivery of a broadcast once the packet that its node sent before it has been received. */
  after(number: number, run: () => void): void {
    if (number === 0) this.#runAllPending(); // the other node has nothing in flight
    if (number <= Math.max(0, this.#received) && this.#pending.length === 0) return run();
    if (this.#pending.push({ number, run }) > MAX_PENDING) this.#runAllPending();
  }

  #runPending(): void {
    while ((this.#pending[0]?.number ?? Infinity) <= this.#received) this.#pending.shift()!.run();
  }

  #runAllPending(): void {
    for (const { run } of this.#pending.splice(0)) run();
  }

  /** Returns whether this node has returned a packet for a client, which may come again. */
  hasReturned(key: string): boolean {
    return this.#returnedKeys.has(key);
  }

  /** True if no packet and no acknowledgement is in flight in either direction. */
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
