/** Joins this node to the others: the directory of a cluster over Redis. */

import type { Clock } from "../clock.ts";
import type { Emit } from "../events.ts";
import type { Directory, DirectoryOptions, Enter } from "../relay/directory.ts";
import type { Router } from "../relay/router.ts";
import type { Session } from "../relay/session.ts";
import type { Message, Notice, Registration } from "../relay/vocabulary.ts";
import { Keys } from "./keys.ts";
import { type DirectMessage, readMessage } from "./messages.ts";
import { Node } from "./node.ts";
import { Forwarder } from "./forwarder.ts";
import { PendingRequests } from "./pending_requests.ts";
import type { RedisSession } from "./redis.ts";
import { explain } from "./redis_errors.ts";
import { Registry } from "./registry.ts";
import { Rooms } from "./rooms.ts";
import { ClusterTopics } from "./topics.ts";
import { within } from "./within.ts";

/** Time limit for taking back stored messages at a shutdown, in milliseconds. */
const EXPIRE_TIMEOUT_MS = 1000;
/** Time after which a node that serves alone logs the same reason again, in milliseconds. */
const REMINDER_MS = 60_000;

export interface ClusterOptions extends DirectoryOptions {
  /** The start of every key and channel. */
  readonly redisPrefix: string;
}

export class Cluster implements Directory {
  readonly #url: string;
  readonly #options: ClusterOptions;
  readonly #keys: Keys;
  readonly #clock: Clock;
  readonly #emit: Emit;
  readonly #router: Router;
  readonly #node: Node;
  readonly #requests = new PendingRequests();
  readonly #rooms: Rooms;
  readonly #registry: Registry;
  readonly #forwarder: Forwarder;
  readonly #topics: ClusterTopics;
  /** Resolves after the first attempt to connect; null afterwards. */
  #starting: PromiseWithResolvers<void> | null = Promise.withResolvers();
  /** The last reason for serving alone that was logged: a repeated one is not. */
  #trouble = "";
  #troubleAtMs = 0;

  /** @param list see {@link Node} */
  constructor(
    url: string,
    list: string,
    options: ClusterOptions,
    router: Router,
    clock: Clock,
    emit: Emit,
  ) {
    this.#url = url;
    this.#options = options;
    const keys = this.#keys = new Keys(options.redisPrefix);
    this.#clock = clock;
    this.#emit = emit;
    this.#router = router;
    this.#node = new Node(url, list, keys, clock, {
      sync: (session) => this.#sync(session),
      onReady: (session) => this.#onReady(session),
      onSettled: (session) => this.#rooms.refreshAll(session).catch(() => {}),
      onDead: (session, nodes) => this.#reap(session, nodes).catch(() => {}),
      onLost: (error) => this.#onLost(error),
    });
    this.#rooms = new Rooms(
      keys,
      this.#node,
      this.#requests,
      router,
      (text, channel) => this.#guard(() => this.#onRoomMessage(keys.roomOf(channel), text)),
    );
    this.#registry = new Registry(
      keys,
      options,
      router,
      this.#node,
      this.#requests,
      this.#rooms,
      (message) => this.#deliver(message),
    );
    this.#topics = new ClusterTopics(
      this.#node,
      keys,
      (key, text) => this.#guard(() => this.#router.topics.deliver(key, text)),
    );
    this.#forwarder = new Forwarder(keys, options, emit, router, this.#node, this.#registry, clock);
  }

  /** Connects. Resolves after the first attempt: if it fails, the node serves alone and keeps trying. */
  async start(): Promise<void> {
    await this.#node.start();
    this.#starting?.resolve();
    this.#starting = null;
  }

  async expireStored(): Promise<void> {
    await within(EXPIRE_TIMEOUT_MS, this.#clock, this.#forwarder.expireStored(), "late").catch(
      () => {},
    );
  }

  /** Leaves the cluster. All clients have been disconnected before. */
  stop(): Promise<void> {
    return this.#node.end();
  }

  /** True while this node serves alone. */
  get isDegraded(): boolean {
    return !this.#node.isReady;
  }

  /** See {@link Node.whenLeaseValid}. */
  pauseAt(nowMs: number): Promise<void> | null {
    return this.#node.whenLeaseValid(nowMs);
  }

  get stored(): number {
    return this.#forwarder.stored;
  }

  /** See {@link Registry.claim}. Waits for the first attempt to connect if that is pending. */
  claim(registration: Registration, ownsId: boolean, enter: Enter): Promise<void> {
    const claim = () => this.#registry.claim(registration, ownsId, enter);
    return this.#starting === null ? claim() : this.#starting.promise.then(claim);
  }

  detached(session: Session): void {
    this.#registry.detached(session);
  }

  left(session: Session): void {
    this.#registry.left(session);
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

  store(from: Session, targetId: string, message: Message): void {
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

  notify(session: Session, notice: Notice): void {
    this.#forwarder.notify(session, notice);
  }

  #onNodeMessage(text: string): void {
    const message = readMessage(text);
    switch (message?.kind) {
      case "message":
        return this.#onDirectMessage(message);
      case "answer":
        return this.#requests.resolve(message);
      case "replaced":
        return this.#registry.replaced(message);
      case "returned":
        return this.#forwarder.returned(message);
      case "fetched":
        return this.#forwarder.fetched(message.messageId);
    }
  }

  #onRoomMessage(room: string, text: string): void {
    const message = readMessage(text);
    if (message?.kind === "join" || message?.kind === "leave") this.#rooms.apply(room, message);
    if (message?.kind !== "broadcast" || message.node === this.#node.id) return;
    for (const session of this.#router.room(room)?.sessions.values() ?? []) {
      const deliver = () => this.#onceLeaseValid(() => session.connection?.send(message.text));
      this.#registry.afterStored(session, message.number, deliver);
    }
  }

  #onDirectMessage(message: DirectMessage): void {
    const target = this.#router.find(message.room, message.targetId);
    const deliver = () => this.#deliver(message);
    if (target === undefined) deliver();
    else this.#registry.afterStored(target, message.number, deliver);
  }

  #deliver(message: DirectMessage): void {
    this.#onceLeaseValid(() => this.#forwarder.deliver(message));
  }

  /** Runs an action now or, in order, once the lease is valid: until then another node may have the ID. */
  #onceLeaseValid(action: () => void): void {
    const renewal = this.#node.whenLeaseValid(this.#clock.now());
    if (renewal === null) action();
    else renewal.then(() => this.#guard(action));
  }

  /** Runs a listener and emits its errors, over which the Redis client would close its connection. */
  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#emit({ kind: "internal_error", where: "cluster", error });
    }
  }

  /** Claims this node's clients again, releases those that left meanwhile, and reads the members of their rooms. */
  async #sync(session: RedisSession): Promise<void> {
    await session.subscribe(
      this.#keys.nodeChannel(this.#node.id),
      (text) => this.#guard(() => this.#onNodeMessage(text)),
    );
    await this.#rooms.subscribe(session);
    await this.#topics.subscribe(session);
    await this.#registry.catchUp(session);
    await this.#registry.forgetLeft(session);
  }

  #onReady(session: RedisSession): void {
    this.#trouble = "";
    this.#emit({ kind: "cluster_joined" });
    this.#registry.catchUp(session).catch(() => {}); // clients may have registered during the sync
  }

  #onLost(error: unknown): void {
    this.#registry.unconfirmAll();
    this.#rooms.markStale();
    const trouble = explain(error, this.#url);
    const nowMs = this.#clock.now();
    if (trouble !== this.#trouble || nowMs >= this.#troubleAtMs + REMINDER_MS) {
      this.#emit({ kind: "cluster_lost", reason: trouble });
      this.#troubleAtMs = nowMs;
    }
    this.#trouble = trouble;
    this.#requests.rejectAll();
  }

  /** Removes the clients of dead nodes, except for IDs that may be resumed. All nodes share this work. */
  async #reap(session: RedisSession, nodes: readonly string[]): Promise<void> {
    for (const node of nodes) {
      while (await session.run("reap", node, this.#options.resumeTtlMs) !== 0);
    }
  }
}
