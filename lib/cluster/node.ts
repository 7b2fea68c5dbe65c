/** Keeps this node in the cluster: connects, sends heartbeats, renews the lease, reconnects. */

import { type Clock, within } from "../clock.ts";
import { Disconnected, unlessDisconnected } from "./disconnected.ts";
import { type CreateClient, RedisSession, type Reply } from "./redis.ts";
import type { Keys } from "./keys.ts";
import { NODE_LIFETIME_MS, readScripts, type ScriptName, type Scripts } from "./scripts.ts";

/** Time between two heartbeats, in milliseconds. */
const HEARTBEAT_MS = 2000;
/** Time limit of a heartbeat, in milliseconds. Past it, the node ends the session and rejects all pending requests. */
const HEARTBEAT_TIMEOUT_MS = 3000;
/** Bounds of the time between two attempts to connect, which doubles from one to the next, in milliseconds. */
const RECONNECT_MS = { first: 250, last: 5000 } as const;
/** Time after which Redis must ignore a command, because this node waits no longer, in milliseconds. */
const COMMAND_LIFETIME_MS = 5000;
/** Time for which a node without a lease waits for Redis before it serves alone, in milliseconds. */
const LEASE_RENEWAL_MS = 5000;
/** Time limit of leaving, in milliseconds. Past it, the other nodes miss the heartbeats. */
const LEAVE_TIMEOUT_MS = 3000;
/** Time from the start of a session in which other nodes may still reconnect, in milliseconds. */
const GRACE_PERIOD_MS = NODE_LIFETIME_MS;
/** Upper bound of the drift between two clocks from one heartbeat to the next, in milliseconds. */
const DRIFT_MS = 1;
/** Time between two `reap` scripts, in which Redis runs the commands of others, in milliseconds. */
const REAP_PAUSE_MS = 2;

/** Listeners of a node's state. */
interface NodeHooks {
  /** Called with every message on the subscribed channels; must not throw. */
  onMessage(message: string, channel: string): void;
  /** Claims this node's clients again, as Redis may have lost them, and reads the changes of their rooms. */
  sync(redis: RedisSession): Promise<void>;
  /** Called once {@link sync} is done. */
  onReady(redis: RedisSession): void;
  /** Called once clients of nodes that have not reconnected count as disconnected. */
  onGracePeriodEnd(redis: RedisSession): void;
  /** Called after each heartbeat while the node is ready. */
  onHeartbeat(redis: RedisSession): void;
  /** Called after all clients were disconnected, before the node leaves. */
  beforeLeaving(redis: RedisSession): Promise<void>;
  /** Called when Redis cannot be reached. The node retries. */
  onLost(error: unknown): void;
}

/** The facts about a node that all its clusters share. */
export interface Self {
  readonly id: string;
  /** The hash of the list of Redis servers, which all nodes share. */
  readonly list: string;
}

interface NodeDeps {
  readonly url: string;
  readonly self: Self;
  readonly keys: Keys;
  readonly resumeTtlMs: number;
  readonly clock: Clock;
  readonly createClient: CreateClient | undefined;
}

export class Node {
  readonly id: string;
  readonly #deps: NodeDeps;
  readonly #scripts: Scripts;
  readonly #hooks: NodeHooks;
  #redis: RedisSession | null = null;
  #isReady = false;
  #hasGracePeriodEnded = false;
  #hasEnded = false;
  #readyAtMs = 0;
  /** The end of the lease, or of the time for which this node serves alone. */
  #leaseUntilMs = Infinity;
  /** Redis' clock minus this one, in milliseconds. */
  #offsetMs: number;
  /** Upper bound of the error of the offset. */
  #offsetErrorMs = Infinity;
  #cancelTimer = () => {};
  #reconnectMs: number = RECONNECT_MS.first;
  #isReaping = false;
  #leaseRenewal: PromiseWithResolvers<void> | null = null;

  constructor(deps: NodeDeps, hooks: NodeHooks) {
    this.#deps = deps;
    this.id = deps.self.id;
    this.#scripts = readScripts(deps.keys);
    this.#hooks = hooks;
    this.#offsetMs = Date.now() - deps.clock.now();
  }

  /** Connects, and retries until {@link end}. Resolves after the first attempt, even if that failed. */
  async start(): Promise<void> {
    this.#serveAlone();
    let redis: RedisSession | null = null;
    try {
      redis = await RedisSession.begin(
        this.#deps.url,
        this.#scripts,
        this.#deps.clock,
        (message, channel) => this.#hooks.onMessage(message, channel),
        this.#deps.createClient,
      );
      if (this.#hasEnded) return redis.end();
      await this.#join(redis);
    } catch (error) {
      this.#fail(redis, error);
    }
  }

  async #join(redis: RedisSession): Promise<void> {
    this.#redis = redis;
    redis.ended.then((error) => this.#fail(redis, error));
    const joinedAtMs = this.#deps.clock.now();
    await this.#beat(redis, true);
    this.#schedule(redis);
    await this.#hooks.sync(redis);
    if (redis !== this.#redis) return;
    this.#isReady = true;
    this.#readyAtMs = this.#deps.clock.now();
    this.#leaseUntilMs = Math.max(this.#leaseUntilMs, joinedAtMs + NODE_LIFETIME_MS);
    this.#reconnectMs = RECONNECT_MS.first;
    this.#leaseRenewal?.resolve();
    this.#hooks.onReady(redis);
  }

  /** True while Redis can be reached and has all registrations of this node. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** The session, even before it is ready; null if there is none. */
  get redis(): RedisSession | null {
    return this.#redis;
  }

  /** The time by Redis' clock, as this node estimates it, in milliseconds since 1970. */
  get redisTimeMs(): number {
    return Math.floor(this.#deps.clock.now() + this.#offsetMs);
  }

  /** The deadline, by Redis' clock, of a command that is sent now. */
  get deadlineMs(): number {
    return this.redisTimeMs + COMMAND_LIFETIME_MS;
  }

  /** Runs a script. Rejects with {@link Disconnected} if the node is not ready, or the session ends before the reply. */
  run(name: ScriptName, ...args: (string | number)[]): Promise<Reply> {
    return this.#isReady
      ? this.runEarly(name, ...args)
      : Promise.reject(new Disconnected("not connected"));
  }

  /** Runs a script even if Redis does not have all registrations of this node yet. */
  runEarly(name: ScriptName, ...args: (string | number)[]): Promise<Reply> {
    return this.#redis?.run(name, ...args) ?? Promise.reject(new Disconnected("not connected"));
  }

  /** Publishes a text. Resolves to the number of subscribers; rejects with {@link Disconnected}. */
  publish(channel: string, text: string): Promise<number> {
    return this.#redis?.publish(channel, text) ??
      Promise.reject(new Disconnected("not connected"));
  }

  /**
   * Returns null while the lease is valid, else a promise that resolves once it is renewed. Without a lease, another node
   * may have this node's IDs.
   */
  whenLeaseValid(nowMs: number): Promise<void> | null {
    if (this.#leaseRenewal === null && nowMs > this.#leaseUntilMs) this.#suspend();
    return this.#leaseRenewal?.promise ?? null;
  }

  #suspend(): void {
    const renewal = Promise.withResolvers<void>();
    this.#leaseRenewal = renewal;
    const cancel = this.#deps.clock.after(LEASE_RENEWAL_MS, renewal.resolve);
    renewal.promise.then(() => {
      cancel();
      this.#leaseRenewal = null;
    });
  }

  /** Serves without Redis. If the lease ended while the process was paused, the node waits for a renewal first. */
  #serveAlone(): void {
    const nowMs = this.#deps.clock.now();
    if (this.#leaseRenewal === null && nowMs > this.#leaseUntilMs) this.#suspend();
    this.#leaseUntilMs = nowMs + NODE_LIFETIME_MS;
  }

  #schedule(redis: RedisSession, delayMs = HEARTBEAT_MS): void {
    this.#cancelTimer = this.#deps.clock.after(delayMs, () => {
      this.#live(redis).catch((error) => this.#fail(redis, error));
    });
  }

  async #live(redis: RedisSession): Promise<void> {
    const isKnown = await this.#beat(redis, false);
    if (redis !== this.#redis) return;
    if (!isKnown) throw new Error("it does not know this node any more");
    const hasLease = this.#deps.clock.now() <= this.#leaseUntilMs;
    this.#schedule(redis, hasLease ? HEARTBEAT_MS : 0); // a reply from before a pause renews no lease
    if (!this.#isReady) return;
    if (hasLease) this.#leaseRenewal?.resolve();
    this.#hooks.onHeartbeat(redis);
    if (this.#deps.clock.now() - this.#readyAtMs < GRACE_PERIOD_MS) return;
    if (!this.#hasGracePeriodEnded) this.#hooks.onGracePeriodEnd(redis);
    this.#hasGracePeriodEnded = true;
    await this.#reap(redis);
  }

  /** Ends expired registrations and those of dead nodes, a bounded number at a time. */
  async #reap(redis: RedisSession): Promise<void> {
    if (this.#isReaping) return;
    this.#isReaping = true;
    try {
      while (
        redis === this.#redis && await redis.run("reap", this.id, this.#deps.resumeTtlMs) !== 0
      ) {
        await new Promise<void>((resolve) => this.#deps.clock.after(REAP_PAUSE_MS, resolve));
      }
    } finally {
      this.#isReaping = false;
    }
  }

  async #beat(redis: RedisSession, isFirst: boolean): Promise<boolean> {
    const sentAtMs = this.#deps.clock.now();
    const reply = await this.#whileReceiving(
      redis,
      redis.run("heartbeat", this.id, isFirst ? 1 : 0, this.#deps.self.list),
    );
    if (reply === "refused") throw new Error("another list");
    const [timeMs, isKnown] = reply as [number, number];
    if (isKnown === 1) this.#leaseUntilMs = sentAtMs + NODE_LIFETIME_MS;
    this.#estimateTime(timeMs, sentAtMs);
    return isKnown === 1;
  }

  /** Estimates Redis' clock from a reply to a heartbeat. The faster the reply, the smaller the error. */
  #estimateTime(timeMs: number, sentAtMs: number): void {
    const nowMs = this.#deps.clock.now();
    this.#offsetErrorMs += DRIFT_MS;
    const errorMs = (nowMs - sentAtMs) / 2;
    const offsetMs = timeMs - (sentAtMs + nowMs) / 2;
    const hasBeenSet = Math.abs(offsetMs - this.#offsetMs) > this.#offsetErrorMs + errorMs;
    if (errorMs > this.#offsetErrorMs && !hasBeenSet) return;
    this.#offsetMs = offsetMs;
    this.#offsetErrorMs = errorMs;
  }

  /** Waits for a reply while this node receives messages from Redis, because the reply may come behind a flood of them. */
  async #whileReceiving<Value>(redis: RedisSession, reply: Promise<Value>): Promise<Value> {
    const late = Symbol();
    while (true) {
      const pause = Promise.withResolvers<typeof late>();
      const cancel = this.#deps.clock.after(HEARTBEAT_TIMEOUT_MS, () => pause.resolve(late));
      const result = await Promise.race([reply, pause.promise]).finally(cancel);
      if (result !== late) return result as Value;
      if (this.#deps.clock.now() - redis.receivedAtMs < HEARTBEAT_TIMEOUT_MS) continue;
      throw new Error("no reply to a heartbeat");
    }
  }

  #fail(redis: RedisSession | null, error: unknown): void {
    if (redis !== this.#redis || this.#hasEnded) return;
    this.#redis = null;
    this.#isReady = false;
    this.#hasGracePeriodEnded = false;
    this.#cancelTimer();
    redis?.end();
    this.#serveAlone();
    this.#hooks.onLost(error);
    const delayMs = this.#reconnectMs * (0.5 + Math.random() / 2); // nodes must not reconnect all at once
    this.#reconnectMs = Math.min(2 * this.#reconnectMs, RECONNECT_MS.last);
    this.#cancelTimer = this.#deps.clock.after(delayMs, () => this.start());
  }

  /** Leaves the cluster, which the other nodes notice at once. */
  async end(): Promise<void> {
    this.#hasEnded = true;
    this.#cancelTimer();
    const redis = this.#redis;
    if (redis !== null) {
      const late = new Disconnected("no reply while leaving");
      await unlessDisconnected(
        within(LEAVE_TIMEOUT_MS, this.#leave(redis), late, this.#deps.clock),
      );
    }
    this.#isReady = false;
    this.#redis = null;
    redis?.end();
  }

  async #leave(redis: RedisSession): Promise<void> {
    await this.#hooks.beforeLeaving(redis);
    await redis.run("leave", this.id);
  }
}
