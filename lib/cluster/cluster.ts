/** This node as one of many: what others need of it, put together. */

import type { Clock } from "../clock.ts";
import type { Emit } from "../events.ts";
import type { Directory, DirectoryOptions, Enter } from "../relay/directory.ts";
import type { Router } from "../relay/router.ts";
import type { Session } from "../relay/session.ts";
import type { Message, Notice, Registration } from "../relay/vocabulary.ts";
import { nodeChannel, roomOf } from "./keys.ts";
import { type DirectMessage, readMessage } from "./messages.ts";
import { Node } from "./node.ts";
import { Post } from "./post.ts";
import { Questions } from "./questions.ts";
import type { RedisSession } from "./redis.ts";
import { explain } from "./redis_errors.ts";
import { Registry } from "./registry.ts";
import { Rooms } from "./rooms.ts";
import { ClusterTopics } from "./topics.ts";
import { within } from "./within.ts";

/** How long a shutdown waits for Redis to say which messages nobody has fetched. */
const GIVE_UP_TIMEOUT_MS = 1000;

export class Cluster implements Directory {
  readonly isImmediate = false;
  readonly #url: string;
  readonly #options: DirectoryOptions;
  readonly #clock: Clock;
  readonly #emit: Emit;
  readonly #router: Router;
  readonly #node: Node;
  readonly #questions = new Questions();
  readonly #rooms: Rooms;
  readonly #registry: Registry;
  readonly #post: Post;
  readonly #topics: ClusterTopics;
  /** Resolves after the first attempt to connect; null once that is over. */
  #starting: PromiseWithResolvers<void> | null = Promise.withResolvers();
  /** Why it serves alone, so that each reason is told once. */
  #trouble = "";

  /** @param router the one whose other nodes these are */
  constructor(
    url: string,
    options: DirectoryOptions,
    router: Router,
    clock: Clock,
    emit: Emit,
  ) {
    this.#url = url;
    this.#options = options;
    this.#clock = clock;
    this.#emit = emit;
    this.#router = router;
    this.#node = new Node(url, clock, {
      sync: (session) => this.#sync(session),
      onReady: (session) => this.#onReady(session),
      onSettled: (session) => this.#rooms.refreshAll(session).catch(() => {}),
      onDead: (session, nodes) => this.#reap(session, nodes).catch(() => {}),
      onLost: (error) => this.#onLost(error),
    });
    this.#rooms = new Rooms(
      this.#node,
      this.#questions,
      router,
      (text, channel) => this.#guard(() => this.#onRoomMessage(roomOf(channel), text)),
    );
    this.#registry = new Registry(
      options,
      router,
      this.#node,
      this.#questions,
      this.#rooms,
      (message) => this.#deliver(message),
    );
    this.#topics = new ClusterTopics(
      this.#node,
      (key, text) => this.#guard(() => this.#router.topics.deliver(key, text)),
    );
    this.#post = new Post(options, emit, router, this.#node, this.#registry, clock);
  }

  /** Connects. Resolves after the first attempt: where it failed, the node serves alone, and goes on trying. */
  async start(): Promise<void> {
    await this.#node.start();
    this.#starting?.resolve();
    this.#starting = null;
  }

  /** Nobody will come here for what is kept: its senders are told, while they are still connected. */
  async expireStored(): Promise<void> {
    await within(GIVE_UP_TIMEOUT_MS, this.#clock, this.#post.giveUpKept(), "late").catch(() => {});
  }

  /** Leaves the cluster; the clients have to be gone before. */
  stop(): Promise<void> {
    return this.#node.end();
  }

  /** Whether this node serves alone for now. */
  get isDegraded(): boolean {
    return !this.#node.isReady;
  }

  /** See {@link Node.thawAt}. */
  pauseAt(nowMs: number): Promise<void> | null {
    return this.#node.thawAt(nowMs);
  }

  /** How many messages of this node's clients wait for somebody. */
  get stored(): number {
    return this.#post.kept;
  }

  /** See {@link Registry.claim}. Who comes before this node has tried to connect waits for that. */
  claim(registration: Registration, ownsId: boolean, enter: Enter): Promise<void> {
    const claim = () => this.#registry.claim(registration, ownsId, enter);
    return this.#starting === null ? claim() : this.#starting.promise.then(claim);
  }

  detached(session: Session): void {
    this.#registry.held(session);
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
    this.#post.send(from, targetId, message);
  }

  broadcast(from: Session, { text }: Message): void {
    this.#post.broadcast(from, text);
  }

  watchTopic(key: string, isWatched: boolean): void {
    this.#topics.watch(key, isWatched);
  }

  publish(key: string, text: string): void {
    this.#topics.publish(key, text);
  }

  notify(session: Session, notice: Notice): void {
    this.#post.notify(session, notice);
  }

  #onNodeMessage(text: string): void {
    const message = readMessage(text);
    switch (message?.kind) {
      case "message":
        return this.#onDirectMessage(message);
      case "answer":
        return this.#questions.answer(message);
      case "replaced":
        return this.#registry.replaced(message);
      case "returned":
        return this.#post.returned(message);
      case "fetched":
        return this.#post.fetched(message.messageId);
    }
  }

  #onRoomMessage(room: string, text: string): void {
    const message = readMessage(text);
    if (message?.kind === "join" || message?.kind === "leave") this.#rooms.apply(room, message);
    if (message?.kind !== "broadcast" || message.node === this.#node.id) return;
    for (const session of this.#router.room(room)?.sessions.values() ?? []) {
      const deliver = () => this.#whenSure(() => session.connection?.send(message.frame));
      this.#registry.afterKept(session, message.number, deliver);
    }
  }

  #onDirectMessage(message: DirectMessage): void {
    const target = this.#router.find(message.room, message.targetId);
    const deliver = () => this.#deliver(message);
    if (target === undefined) deliver();
    else this.#registry.afterKept(target, message.number, deliver);
  }

  #deliver(message: DirectMessage): void {
    this.#whenSure(() => this.#post.deliver(message));
  }

  /** After a freeze, what came meanwhile is for clients whose IDs may be lost: it waits, and keeps its order. */
  #whenSure(action: () => void): void {
    const thaw = this.#node.thawAt(this.#clock.now());
    if (thaw === null) action();
    else thaw.then(() => this.#guard(action));
  }

  /** The client library's connection would be lost over it. */
  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#emit({ kind: "internal_error", where: "cluster", error });
    }
  }

  /** Makes this node's clients known, forgets those that left meanwhile, and learns who is where. */
  async #sync(session: RedisSession): Promise<void> {
    await session.subscribe(
      nodeChannel(this.#node.id),
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
    this.#registry.catchUp(session).catch(() => {}); // with those who came at the last moment
  }

  #onLost(error: unknown): void {
    this.#registry.doubtAll();
    this.#rooms.markStale();
    const trouble = explain(error, this.#url);
    if (trouble !== this.#trouble) this.#emit({ kind: "cluster_lost", reason: trouble });
    this.#trouble = trouble;
    this.#questions.giveUp();
  }

  /** Clears the clients of dead nodes away; the IDs that may be resumed Redis holds. All nodes share the work. */
  async #reap(session: RedisSession, nodes: readonly string[]): Promise<void> {
    for (const node of nodes) {
      while (await session.run("reap", node, this.#options.resumeTtlMs) !== 0);
    }
  }
}
