/** This node's life in the cluster: it connects, gives signs of life, is forgotten, comes back. */

import type { Clock } from "../clock.ts";
import { RedisSession, type Reply } from "./redis.ts";
import { NODE_LIFETIME_MS, type ScriptName } from "./scripts.ts";

const HEARTBEAT_MS = 2000;
/** A heartbeat that takes longer ends the session, and with it all that waits for a reply. */
const HEARTBEAT_TIMEOUT_MS = 3000;
const RECONNECT_MS = 500;
/** What reaches Redis later than this has been given up by then, and must not be done any more. */
const COMMAND_LIFETIME_MS = 5000;
/** How long a node that was frozen waits for Redis before it goes on by itself. */
const THAW_MS = 5000;

/** What is to be done about the changes in a node's life. */
export interface NodeHooks {
  /** Redis may know nothing of this node's clients: make them known, and learn what has changed meanwhile. */
  sync(session: RedisSession): Promise<void>;
  /** All is known on both sides. */
  onReady(): void;
  /** Redis cannot be reached any more. Tried again until it can. */
  onLost(error: unknown): void;
  /** These nodes have given no sign of life for too long. */
  onDead(session: RedisSession, nodes: readonly string[]): void;
}

export class Node {
  readonly id: string = crypto.randomUUID();
  readonly #url: string;
  readonly #clock: Clock;
  readonly #hooks: NodeHooks;
  #session: RedisSession | null = null;
  #isReady = false;
  #hasEnded = false;
  #confirmedAtMs = 0;
  /** Redis's clock less ours, in milliseconds. */
  #offsetMs = 0;
  #cancelTimer = () => {};
  #thaw: PromiseWithResolvers<void> | null = null;

  constructor(url: string, clock: Clock, hooks: NodeHooks) {
    this.#url = url;
    this.#clock = clock;
    this.#hooks = hooks;
  }

  /** Connects, and goes on trying until {@link end}. Resolves after the first attempt, however it ended. */
  async start(): Promise<void> {
    try {
      const session = await RedisSession.begin(this.#url, (error) => this.#lose(session, error));
      this.#session = session;
      if (this.#hasEnded) return session.end();
      await this.#sync(session);
    } catch (error) {
      this.#lose(this.#session, error);
    }
  }

  /** Whether Redis can be reached, and knows all of this node's clients. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** The session, also while it is being synchronized; null where there is none. */
  get session(): RedisSession | null {
    return this.#session;
  }

  /** Until when, by Redis's clock, it may do what is sent to it now. In milliseconds since 1970. */
  get notAfterMs(): number {
    return Math.floor(this.#clock.now() + this.#offsetMs + COMMAND_LIFETIME_MS);
  }

  /** Runs a script. Rejects where Redis cannot be reached, or is lost before it has answered. */
  run(name: ScriptName, ...args: (string | number)[]): Promise<Reply> {
    if (this.#session === null || !this.#isReady) return Promise.reject(new Error("not connected"));
    return this.#session.run(name, ...args);
  }

  /**
   * Null while all is well. After a time in which this node was frozen, and may have lost its clients' IDs: resolves
   * once it knows better.
   */
  get thaw(): Promise<void> | null {
    if (this.#thaw !== null) return this.#thaw.promise;
    if (!this.#isReady || this.#isFresh()) return null;
    return this.#freeze();
  }

  #isFresh(): boolean {
    return this.#clock.now() - this.#confirmedAtMs < NODE_LIFETIME_MS;
  }

  #freeze(): Promise<void> {
    const thaw = Promise.withResolvers<void>();
    this.#thaw = thaw;
    const cancel = this.#clock.after(THAW_MS, thaw.resolve);
    thaw.promise.then(() => {
      cancel();
      this.#thaw = null;
    });
    return thaw.promise;
  }

  async #sync(session: RedisSession): Promise<void> {
    this.#isReady = false;
    await this.#beat(session);
    await this.#hooks.sync(session);
    if (session !== this.#session) throw new Error("the session ended");
    this.#isReady = true;
    this.#thaw?.resolve();
    this.#hooks.onReady();
    this.#schedule(session);
  }

  #schedule(session: RedisSession): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#clock.after(HEARTBEAT_MS, () => {
      if (!this.#isFresh() && this.#thaw === null) this.#freeze();
      this.#live(session).catch((error) => this.#lose(session, error));
    });
  }

  async #live(session: RedisSession): Promise<void> {
    const { isKnown, dead } = await this.#beat(session);
    if (!isKnown) return await this.#sync(session);
    this.#thaw?.resolve();
    if (dead.length > 0) this.#hooks.onDead(session, dead);
    this.#schedule(session);
  }

  async #beat(session: RedisSession): Promise<{ isKnown: boolean; dead: readonly string[] }> {
    const sentAtMs = this.#clock.now();
    const late = Promise.withResolvers<never>();
    const cancel = this.#clock.after(
      HEARTBEAT_TIMEOUT_MS,
      () => late.reject(new Error("Redis does not answer")),
    );
    try {
      const reply = await Promise.race([
        session.run("heartbeat", "signalbox:nodes", this.id),
        late.promise,
      ]);
      const [timeMs, isKnown, dead] = reply as [number, number, string[]];
      this.#confirmedAtMs = sentAtMs;
      this.#offsetMs = timeMs - sentAtMs;
      return { isKnown: isKnown === 1, dead };
    } finally {
      cancel();
    }
  }

  #lose(session: RedisSession | null, error: unknown): void {
    if (session !== this.#session) return;
    this.#session = null;
    this.#isReady = false;
    this.#cancelTimer();
    session?.end();
    if (this.#hasEnded) return;
    this.#hooks.onLost(error);
    this.#cancelTimer = this.#clock.after(RECONNECT_MS, () => this.start());
  }

  /** Leaves the cluster: the others need not wait for its signs of life. */
  async end(): Promise<void> {
    this.#hasEnded = true;
    this.#cancelTimer();
    const session = this.#session;
    this.#isReady = false;
    await session?.run("leave", "signalbox:nodes", this.id).catch(() => {});
    this.#session = null;
    session?.end();
  }
}
