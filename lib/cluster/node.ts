/** This node's life in the cluster: it connects, gives signs of life, is forgotten, comes back. */

import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.ts";
import { RemoteClock } from "./remote_clock.ts";
import { RedisSession, type Reply } from "./redis.ts";
import { NODE_LIFETIME_MS, readScripts, type ScriptName } from "./scripts.ts";
import { within } from "./within.ts";

const HEARTBEAT_MS = 2000;
/** A heartbeat that takes longer ends the session, and with it all that waits for a reply. */
const HEARTBEAT_TIMEOUT_MS = 3000;
const RECONNECT_MS = 250;
/** What reaches Redis later than this has been given up by then, and must not be done any more. */
const COMMAND_LIFETIME_MS = 5000;
/** How long a node that was frozen waits for Redis before it goes on by itself. */
const THAW_MS = 5000;
/** A node that cannot say that it leaves is found out later. */
const LEAVE_TIMEOUT_MS = 1000;
/** After a session has begun, so long others may need to come back, too. */
const SETTLING_MS = NODE_LIFETIME_MS;

/** What is to be done about the changes in a node's life. */
export interface NodeHooks {
  /** Redis may know nothing of this node's clients: make them known, and learn what has changed meanwhile. */
  sync(session: RedisSession): Promise<void>;
  /** All is known on both sides. */
  onReady(session: RedisSession): void;
  /** Who has not come back by now is gone. */
  onSettled(session: RedisSession): void;
  /** These nodes have given no sign of life for too long. */
  onDead(session: RedisSession, nodes: readonly string[]): void;
  /** Redis cannot be reached, or not any more. Tried again until it can. */
  onLost(error: unknown): void;
}

export class Node {
  readonly id = randomBytes(12).toString("base64url");
  readonly #url: string;
  readonly #scripts = readScripts();
  readonly #clock: Clock;
  readonly #hooks: NodeHooks;
  #session: RedisSession | null = null;
  #isReady = false;
  #isSettled = false;
  #hasEnded = false;
  #readyAtMs = 0;
  /** Until then no other node takes this one for gone, or it knows that it is alone. */
  #sureUntilMs = Infinity;
  readonly #redisClock: RemoteClock;
  #cancelTimer = () => {};
  #thaw: PromiseWithResolvers<void> | null = null;

  constructor(url: string, clock: Clock, hooks: NodeHooks) {
    this.#url = url;
    this.#clock = clock;
    this.#hooks = hooks;
    this.#redisClock = new RemoteClock(clock);
  }

  /** Connects, and goes on trying until {@link end}. Resolves after the first attempt, however it ended. */
  async start(): Promise<void> {
    this.#goOnAlone();
    let session: RedisSession | null = null;
    try {
      session = await RedisSession.begin(this.#url, this.#scripts, this.#clock);
      if (this.#hasEnded) return session.end();
      await this.#join(session);
    } catch (error) {
      this.#lose(session, error);
    }
  }

  async #join(session: RedisSession): Promise<void> {
    this.#session = session;
    session.ended.then((error) => this.#lose(session, error));
    await this.#beat(session, true);
    this.#schedule(session);
    await this.#hooks.sync(session);
    if (session !== this.#session) return;
    this.#isReady = true;
    this.#readyAtMs = this.#clock.now();
    this.#thaw?.resolve();
    this.#hooks.onReady(session);
  }

  /** Whether Redis can be reached, and knows all of this node's clients. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** The session, also while it is being synchronized; null where there is none. */
  get session(): RedisSession | null {
    return this.#session;
  }

  /** The time by Redis's clock, as far as this node can tell. In milliseconds since 1970. */
  get redisTimeMs(): number {
    return this.#redisClock.now();
  }

  /** Until when, by Redis's clock, it may do what is sent to it now. */
  get notAfterMs(): number {
    return this.redisTimeMs + COMMAND_LIFETIME_MS;
  }

  /** Runs a script. Rejects where Redis cannot be reached, or is lost before it has replied. */
  run(name: ScriptName, ...args: (string | number)[]): Promise<Reply> {
    return this.#isReady
      ? this.runEarly(name, ...args)
      : Promise.reject(new Error("not connected"));
  }

  /** Like {@link run}, but also while Redis does not know all of this node's clients yet. */
  runEarly(name: ScriptName, ...args: (string | number)[]): Promise<Reply> {
    return this.#session?.run(name, ...args) ?? Promise.reject(new Error("not connected"));
  }

  /**
   * Null while all is well. After a time in which this node was frozen, and may have lost its clients' IDs: resolves
   * once it knows better.
   */
  thawAt(nowMs: number): Promise<void> | null {
    if (this.#thaw === null && nowMs > this.#sureUntilMs) this.#freeze();
    return this.#thaw?.promise ?? null;
  }

  #freeze(): void {
    const thaw = Promise.withResolvers<void>();
    this.#thaw = thaw;
    const cancel = this.#clock.after(THAW_MS, thaw.resolve);
    thaw.promise.then(() => {
      cancel();
      this.#thaw = null;
    });
  }

  /** Without Redis a node decides for itself; but not if it was frozen until now. */
  #goOnAlone(): void {
    const nowMs = this.#clock.now();
    if (this.#thaw === null && nowMs > this.#sureUntilMs) this.#freeze();
    this.#sureUntilMs = nowMs + NODE_LIFETIME_MS;
  }

  #schedule(session: RedisSession, delayMs = HEARTBEAT_MS): void {
    this.#cancelTimer = this.#clock.after(delayMs, () => {
      this.#live(session).catch((error) => this.#lose(session, error));
    });
  }

  async #live(session: RedisSession): Promise<void> {
    const { isKnown, dead } = await this.#beat(session, false);
    if (session !== this.#session) return;
    if (!isKnown) throw new Error("it does not know this node any more");
    const isSure = this.#clock.now() <= this.#sureUntilMs;
    this.#schedule(session, isSure ? HEARTBEAT_MS : 0); // a reply from before a freeze says nothing
    if (!this.#isReady) return;
    if (isSure) this.#thaw?.resolve();
    if (this.#clock.now() - this.#readyAtMs < SETTLING_MS) return;
    if (!this.#isSettled) this.#hooks.onSettled(session);
    this.#isSettled = true;
    if (dead.length > 0) this.#hooks.onDead(session, dead);
  }

  async #beat(
    session: RedisSession,
    isFirst: boolean,
  ): Promise<{ isKnown: boolean; dead: readonly string[] }> {
    const sentAtMs = this.#clock.now();
    const reply = await within(
      HEARTBEAT_TIMEOUT_MS,
      this.#clock,
      session.run("heartbeat", this.id, isFirst ? 1 : 0),
      "no reply to a heartbeat",
    );
    const [timeMs, isKnown, dead] = reply as [number, number, string[]];
    if (isKnown === 1) this.#sureUntilMs = sentAtMs + NODE_LIFETIME_MS;
    this.#redisClock.note(timeMs, sentAtMs);
    return { isKnown: isKnown === 1, dead };
  }

  #lose(session: RedisSession | null, error: unknown): void {
    if (session !== this.#session || this.#hasEnded) return;
    this.#session = null;
    this.#isReady = false;
    this.#isSettled = false;
    this.#cancelTimer();
    session?.end();
    this.#goOnAlone();
    this.#hooks.onLost(error);
    this.#cancelTimer = this.#clock.after(RECONNECT_MS, () => this.start());
  }

  /** Leaves the cluster: the others need not wait for its signs of life. */
  async end(): Promise<void> {
    this.#hasEnded = true;
    this.#cancelTimer();
    const session = this.#session;
    if (session !== null) {
      await within(LEAVE_TIMEOUT_MS, this.#clock, this.#leave(session), "late").catch(() => {});
    }
    this.#isReady = false;
    this.#session = null;
    session?.end();
  }

  async #leave(session: RedisSession): Promise<void> {
    await session.run("leave", this.id); // from here on nobody sends anything to this node
    await session.run("leave", this.id); // and what was on its way has been given back
  }
}
