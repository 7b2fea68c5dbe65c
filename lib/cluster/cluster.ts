/** The directory of a cluster, which joins this node to the others on one Redis. */

import { type Clock, within } from "../clock.ts";
import type { Emit } from "../events.ts";
import type { Attach, Directory, DirectoryOptions } from "../relay/directory.ts";
import type { Router } from "../relay/router.ts";
import type { Session } from "../relay/session.ts";
import type { Message, Notice, Registration } from "../relay/vocabulary.ts";
import { Disconnected, unlessDisconnected } from "./disconnected.ts";
import { Forwarder } from "./forwarder.ts";
import { Keys } from "./keys.ts";
import {
  type Broadcast,
  type ChangeMessage,
  readBroadcast,
  readPublication,
  readScriptMessage,
  type ScriptMessage,
} from "./messages.ts";
import { Node, type Self } from "./node.ts";
import { PendingRequests } from "./pending_requests.ts";
import type { CreateClient, RedisSession } from "./redis.ts";
import { explain } from "./redis_errors.ts";
import { Registry } from "./registry.ts";
import { Rooms } from "./rooms.ts";
import { ClusterTopics } from "./topics.ts";

/** Time limit of each flush at a shutdown, in milliseconds. */
const FLUSH_TIMEOUT_MS = 500;
/** Time after which a node that serves alone logs an unchanged reason again, in milliseconds. */
const REMINDER_MS = 60_000;

export interface ClusterOptions extends DirectoryOptions {
  /** The prefix of every key and channel. */
  readonly redisPrefix: string;
}

export interface ClusterDeps {
  readonly options: ClusterOptions;
  readonly router: Router;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Default: creates a client of the library. */
  readonly createClient?: CreateClient;
}

export class Cluster implements Directory {
  readonly #url: string;
  readonly #clock: Clock;
  readonly #emit: Emit;
  readonly #keys: Keys;
  readonly #node: Node;
  readonly #requests = new PendingRequests();
  readonly #rooms: Rooms;
  readonly #registry: Registry;
  readonly #forwarder: Forwarder;
  readonly #topics: ClusterTopics;
  /** Resolves after the first attempt to connect; null afterwards. */
  #starting: PromiseWithResolvers<void> | null = Promise.withResolvers();
  /** The last reason for serving alone. An unchanged one is logged once a minute. */
  #trouble = "";
  #troubleAtMs = 0;

  constructor(url: string, self: Self, deps: ClusterDeps) {
    const { options, router, clock, emit, createClient } = deps;
    this.#url = url;
    this.#clock = clock;
    this.#emit = emit;
    const keys = this.#keys = new Keys(options.redisPrefix);
    const { resumeTtlMs } = options;
    const node = this.#node = new Node({ url, self, keys, resumeTtlMs, clock, createClient }, {
      onMessage: (text, channel) => this.#guard(() => this.#onMessage(text, channel)),
      sync: (redis) => this.#sync(redis),
      onReady: (redis) => this.#onReady(redis),
      onHeartbeat: () => this.#forwarder.check(),
      onGracePeriodEnd: (redis) => unlessDisconnected(this.#rooms.refreshAll(redis)),
      onLost: (error) => this.#onLost(error),
      beforeLeaving: (redis) => this.#beforeLeaving(redis),
    });
    const rooms = this.#rooms = new Rooms({ keys, node, requests: this.#requests, router }, {
      isStored: (room) => this.#forwarder.hasStored(room),
      onMoved: (room, id) => this.#forwarder.flush(room, id),
    });
    const shared = { keys, options, router, node, rooms };
    const registry = this.#registry = new Registry({ ...shared, requests: this.#requests }, {
      onAttached: (session, resumed) => this.#deliverStored(session, !resumed),
      onConfirmed: (session) => this.#forwarder.onConfirmed(session),
      onEvicted: (session) => this.#deliverStored(session, !session.hasMoved),
    });
    this.#topics = new ClusterTopics(
      node,
      keys,
      (key, text) => router.topics.deliver(key, text),
    );
    this.#forwarder = new Forwarder({ ...shared, registry, clock, emit });
  }

  /** Connects, and resolves after the first attempt. If that fails, the node serves alone and retries. */
  async start(): Promise<void> {
    await this.#node.start();
    this.#starting?.resolve();
    this.#starting = null;
  }

  expireStored(): void {
    this.#forwarder.expireStored();
  }

  /** Leaves the cluster, after all clients were disconnected. */
  async stop(): Promise<void> {
    await this.#node.end();
    this.#forwarder.stop();
  }

  /** True while this node serves alone. */
  get isDegraded(): boolean {
    return !this.#node.isReady;
  }

  /** Returns null while the lease is valid, see {@link Node.whenLeaseValid}. */
  pauseAt(nowMs: number): Promise<void> | null {
    return this.#node.whenLeaseValid(nowMs);
  }

  get stored(): number {
    return this.#forwarder.stored;
  }

  /** Claims an ID, see {@link Registry.claim}, after the first attempt to connect. */
  claim(registration: Registration, ownsId: boolean, attach: Attach): Promise<void> {
    const claim = () => this.#registry.claim(registration, ownsId, attach);
    return this.#starting === null ? claim() : this.#starting.promise.then(claim);
  }

  detached(session: Session): void {
    this.#registry.detached(session);
  }

  ended(session: Session): void {
    this.#registry.ended(session);
  }

  idsIn(room: string): Iterable<string> {
    return this.#rooms.get(room)?.ids ?? [];
  }

  listIds(room: string): Promise<readonly string[]> {
    return this.#rooms.list(room);
  }

  sizeOf(room: string): number {
    return this.#rooms.get(room)?.size ?? 0;
  }

  forward(from: Session, targetId: string, message: Message): void {
    this.#forwarder.send(from, targetId, message);
  }

  broadcast(from: Session, { text }: Message): void {
    this.#forwarder.broadcast(from, text);
  }

  watchTopic(key: string, isWatched: boolean): void {
    this.#topics.watch(key, isWatched);
  }

  publish(key: string, text: string): void {
    this.#topics.publish(key, text);
  }

  storeNotice(session: Session, notice: Notice): void {
    this.#forwarder.storeNotice(session, notice);
  }

  #onMessage(text: string, channel: string): void {
    const { nodes, topicPrefix, roomChannelPrefix } = this.#keys;
    if (channel.startsWith(topicPrefix)) return this.#topics.onMessage(text, channel);
    const message = text.startsWith("{") ? readScriptMessage(text) : null;
    if (channel.startsWith(roomChannelPrefix)) {
      const room = this.#keys.roomOf(channel);
      if (message !== null) return this.#onRoomMessage(room, message);
      const broadcast = readBroadcast(text);
      if (broadcast !== null) this.#onBroadcast(room, broadcast);
    } else if (message?.kind === "response") {
      const isPending = this.#requests.resolve(message);
      if (!isPending && message.id !== "") this.#registry.onLateClaim(message);
    } else if (channel === nodes) {
      if (message?.kind === "node_left") this.#forwarder.onNodeEnd(message.node, true);
      if (message?.kind === "node_dead") this.#forwarder.onNodeEnd(message.node, false);
    } else {
      const publication = readPublication(text);
      if (publication !== null) this.#forwarder.receive(publication);
    }
  }

  #onRoomMessage(room: string, message: ScriptMessage): void {
    if (!("epoch" in message) || message.kind === "response") return; // no change
    this.#rooms.get(room)?.apply(message);
    this.#registry.onChange(room, message);
    if (!this.#isOwnClaim(message)) {
      this.#forwarder.flush(room, message.id, message.kind === "joined");
    }
  }

  /** Returns whether a change is a claim of this node, whose response is the next message. */
  #isOwnClaim({ kind, node }: ChangeMessage): boolean {
    return node === this.#node.id && (kind === "joined" || kind === "resumed");
  }

  /**
   * Delivers what is stored here for a client that is attached, or has been evicted, and the notices for it.
   *
   * @param isNew true if the client has begun a new session
   */
  #deliverStored(session: Session, isNew: boolean): void {
    this.#forwarder.flush(session.room.name, session.id, isNew);
    this.#forwarder.deliverNotices(session);
  }

  /** Handles a broadcast once the lease is valid, because until then another node may have the IDs. */
  #onBroadcast(room: string, broadcast: Broadcast): void {
    const renewal = this.#node.whenLeaseValid(this.#clock.now());
    const handle = (isOnTime: boolean) => () =>
      this.#forwarder.onBroadcast(room, broadcast, isOnTime);
    if (renewal === null) handle(true)();
    else renewal.then(() => this.#guard(handle(false)));
  }

  /** Runs a listener and emits its errors, for which the Redis client would close its connection. */
  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#emit({ kind: "internal_error", where: "cluster", error });
    }
  }

  /** Claims this node's clients again, reads the members of their rooms, and releases disconnected clients. */
  async #sync(redis: RedisSession): Promise<void> {
    await redis.subscribe([this.#keys.nodeChannel(this.#node.id), this.#keys.nodes]);
    await this.#rooms.subscribe(redis);
    await this.#topics.subscribe(redis);
    await this.#registry.catchUp(redis);
    await this.#registry.forgetDisconnected(redis);
  }

  #onReady(redis: RedisSession): void {
    this.#trouble = "";
    this.#emit({ kind: "cluster_joined" });
    this.#forwarder.onReady();
    unlessDisconnected(this.#registry.catchUp(redis)); // clients may have registered during the sync
  }

  #onLost(error: unknown): void {
    this.#registry.unconfirmAll();
    this.#rooms.markStale();
    this.#forwarder.onLost();
    const trouble = explain(error, this.#url);
    const nowMs = this.#clock.now();
    if (trouble !== this.#trouble || nowMs >= this.#troubleAtMs + REMINDER_MS) {
      this.#emit({ kind: "cluster_lost", reason: trouble });
      this.#troubleAtMs = nowMs;
    }
    this.#trouble = trouble;
    this.#requests.rejectAll();
  }

  /** Waits for the acknowledgements of other nodes, and acknowledges all that this node has received. */
  async #beforeLeaving(redis: RedisSession): Promise<void> {
    if (!await this.#flush()) this.#forwarder.expireStored();
    await this.#flush();
    await redis.unsubscribe(this.#keys.nodeChannel(this.#node.id));
    await this.#flush();
  }

  /** Flushes, and returns false if a message is still stored or in flight at the time limit. */
  #flush(): Promise<boolean> {
    const flushed = this.#forwarder.flushAll().then(() => true);
    const late = new Disconnected("no acknowledgement in time");
    return unlessDisconnected(within(FLUSH_TIMEOUT_MS, flushed, late, this.#clock), false);
  }
}
