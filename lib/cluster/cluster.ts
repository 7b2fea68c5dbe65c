/** This node as one of many: what it claims, hears and says through Redis, and how it goes on without. */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Events } from "../events.ts";
import { MAX_BYTES_PER_TARGET, MAX_MESSAGES_PER_TARGET } from "../mailbox.ts";
import {
  errorFrame,
  idTaken,
  ProtocolError,
  type Registration,
  targetNotFound,
} from "../protocol.ts";
import { newSecret } from "../resume.ts";
import type { Claim, Client, Delivery, OtherNodes, Router, RouterOptions } from "../router.ts";
import { type KeptMessage, KeptMessages } from "./kept.ts";
import {
  type DirectMessage,
  readMessage,
  type ReceiptMessage,
  type ReplacedMessage,
  writeMessage,
} from "./messages.ts";
import { Node } from "./node.ts";
import type { RedisSession } from "./redis.ts";
import { RoomView } from "./room_view.ts";

/** What Redis knows of a client of this node. */
interface Record {
  /** Of the claim; 0 until Redis has numbered it. */
  number: number;
  readonly claimedAtMs: number;
  /** Of the resume secret; `""` where there is none. */
  readonly secretHash: string;
  /** Whether Redis knows it, as far as can be told. */
  isKnown: boolean;
}

/** An ID that Redis has given to this node, for a connection that is about to have it. */
export interface ClusterClaim extends Claim {
  readonly record: Record;
  /** What was kept for it. */
  readonly mail: readonly DirectMessage[];
}

type ClaimReply = ["ok" | "taken" | "late", number, number, number, string[], string[]];

/** So many registrations are made known again at a time. */
const RECLAIMS_AT_ONCE = 1000;

export class Cluster implements OtherNodes {
  readonly #options: RouterOptions;
  readonly #events: Events;
  readonly #router: Router;
  readonly #node: Node;
  readonly #records = new Map<Client, Record>();
  /** The rooms in which this node has clients, or is about to. */
  readonly #views = new Map<string, RoomView>();
  /** IDs that are being claimed: what is for them waits until it is clear who has them. */
  readonly #claims = new Map<string, PromiseWithResolvers<void>[]>();
  readonly #kept: KeptMessages;
  /** Clients that have moved to another node, and can be told something there. */
  readonly #moved = new WeakSet<Client>();
  #subscribed: RedisSession | null = null;
  #messageCount = 0;

  /** @param router the one whose other nodes these are */
  constructor(url: string, options: RouterOptions, router: Router, clock: Clock, events: Events) {
    this.#options = options;
    this.#events = events;
    this.#router = router;
    this.#node = new Node(url, clock, {
      sync: (session) => this.#sync(session),
      onReady: () => events.clusterJoined(),
      onLost: (error) => this.#onLost(error),
      onDead: (session, nodes) => this.#onDead(session, nodes),
    });
    this.#kept = new KeptMessages(
      clock,
      options.mailboxTtlMs,
      (message) => this.#takeBack(message),
      (message) => this.#reportLost(message),
    );
  }

  /** Connects. Resolves after the first attempt: where it failed, the node serves alone, and goes on trying. */
  start(): Promise<void> {
    return this.#node.start();
  }

  /** Leaves the cluster; the clients have to be gone before. */
  end(): Promise<void> {
    return this.#node.end();
  }

  /** Whether this node serves alone for now. */
  get isDegraded(): boolean {
    return !this.#node.isReady;
  }

  /** See {@link Node.thaw}. */
  get thaw(): Promise<void> | null {
    return this.#node.thaw;
  }

  /** How many messages of this node's clients wait for somebody. */
  get kept(): number {
    return this.#kept.size;
  }

  // Registrations

  /**
   * Claims an ID for a connection of this node; null where Redis cannot be asked, and this node decides alone. To be
   * followed by {@link entered} if the connection is still there, and by {@link settle} in any case.
   *
   * @throws {ProtocolError} `id_taken`
   */
  async claim(registration: Registration, ownsId: boolean): Promise<ClusterClaim | null> {
    const { clientId, room, resume } = registration;
    const key = claimKey(room, clientId);
    this.#claims.set(key, [...this.#claims.get(key) ?? [], Promise.withResolvers<void>()]);
    const view = this.#enterRoom(room);
    view.claims++;
    const mayResume = resume !== false && this.#options.resumeTtlMs > 0;
    const given = mayResume && typeof resume === "string" ? resume : null;
    const fresh = mayResume ? newSecret() : null;
    const [status, number, claimedAtMs, isResumed, mail, members] = await this.#node.run(
      "claim",
      ...roomKeys(room, clientId),
      room,
      clientId,
      this.#node.id,
      this.#options.onDuplicate,
      ownsId ? 1 : 0,
      hash(given),
      hash(fresh),
      view.isStale ? 1 : 0,
      this.#node.notAfterMs,
    ).catch(() => ["late"]) as ClaimReply;
    if (status === "late") return null;
    if (status === "taken") {
      this.settle(registration, null);
      throw new ProtocolError("id_taken", idTaken(clientId));
    }
    if (view.isStale) view.reset(number, members);
    const secret = isResumed === 1 ? given : fresh;
    return {
      resumed: isResumed === 1,
      secret,
      record: { number, claimedAtMs, secretHash: hash(secret), isKnown: true },
      mail: readMail(mail),
    };
  }

  /** The connection for which an ID was claimed has got it. */
  entered(client: Client, claim: ClusterClaim | null): void {
    this.#records.set(client, claim?.record ?? unknownRecord(client));
    if (claim !== null) return;
    this.#enterRoom(client.room.name).add(client.id);
    const { session } = this.#node;
    if (session !== null && this.#node.isReady) {
      this.#reclaim(session, client).then(() => this.#refresh(session, client.room.name)).catch(
        () => {},
      );
    }
  }

  /** Ends a claim, whether the connection has entered or is gone: what was kept is delivered, what waited goes on. */
  settle({ clientId, room }: Registration, claim: ClusterClaim | null): void {
    const client = this.#router.find(room, clientId);
    const hasEntered = client !== undefined && this.#records.get(client) === claim?.record;
    if (claim !== null && !hasEntered) this.#release(room, clientId, claim.record);
    if (claim !== null && hasEntered) this.#deliverMail(client, claim.mail);
    const key = claimKey(room, clientId);
    const waiting = this.#claims.get(key) ?? [];
    waiting.shift()?.resolve();
    if (waiting.length === 0) this.#claims.delete(key);
    this.#enterRoom(room).claims--;
    this.#leaveRoom(room);
  }

  /** What was not delivered its sender hears of, as no receipt comes. */
  #deliverMail(client: Client, mail: readonly DirectMessage[]): void {
    for (const { frame, sender } of mail) {
      if (!client.link?.send(frame)) return;
      if (sender === null) continue;
      this.#events.keptDelivered(client);
      this.#publish(sender.node, { kind: "receipt", messageId: sender.messageId });
    }
  }

  /** Resolves when a claim of this node for an ID is settled; null where there is none. */
  #settling(room: string, id: string): Promise<void> | null {
    return this.#claims.get(claimKey(room, id))?.at(-1)?.promise ?? null;
  }

  held(client: Client): void {
    const record = this.#records.get(client);
    if (record?.isKnown) this.#tell("hold", client.room.name, client.id, record);
  }

  left(client: Client): void {
    const { id, room } = client;
    const record = this.#records.get(client);
    this.#records.delete(client);
    if (record !== undefined) this.#release(room.name, id, record);
    this.#leaveRoom(room.name);
  }

  #release(room: string, id: string, record: Record): void {
    if (record.isKnown) this.#tell("release", room, id, record);
    else this.#views.get(room)?.remove(id);
  }

  #tell(what: "hold" | "release", room: string, id: string, { number }: Record): void {
    this.#node.session?.run(what, idsKey(room), room, id, this.#node.id, number).catch(() => {});
  }

  /** A newer connection of another node has taken an ID over. */
  #onReplaced(message: ReplacedMessage): void {
    const { room, id, claim } = message;
    const settling = this.#settling(room, id);
    if (settling !== null) return void settling.then(() => this.#onReplaced(message));
    const client = this.#router.find(room, id);
    if (client !== undefined && this.#records.get(client)?.number === claim) this.#evict(client);
  }

  #evict(client: Client): void {
    this.#records.delete(client);
    this.#moved.add(client);
    this.#router.evict(client);
  }

  // Rooms

  idsIn(room: string): Iterable<string> {
    return this.#views.get(room)?.ids ?? [];
  }

  sizeOf(room: string): number {
    return this.#views.get(room)?.size ?? 0;
  }

  #enterRoom(room: string): RoomView {
    let view = this.#views.get(room);
    if (view === undefined) {
      view = new RoomView((change, id) => this.#router.announce(room, change, id));
      this.#views.set(room, view);
      if (this.#node.session !== null) this.#subscribe(this.#node.session, room);
    }
    return view;
  }

  #leaveRoom(room: string): void {
    const view = this.#views.get(room);
    if (view === undefined || view.claims > 0 || this.#router.hasRoom(room)) return;
    this.#views.delete(room);
    this.#node.session?.unsubscribe(roomChannel(room)).catch(() => {});
  }

  #subscribe(session: RedisSession, room: string): void {
    session.subscribe(roomChannel(room), (text) => this.#onRoomMessage(room, text)).catch(() => {});
  }

  /** Reads who is in a room. */
  async #refresh(session: RedisSession, room: string): Promise<void> {
    const [number, ids] = await session.run("members", idsKey(room)) as [number, string[]];
    this.#views.get(room)?.reset(number, ids);
  }

  #onRoomMessage(room: string, text: string): void {
    const message = readMessage(text);
    if (message?.kind === "broadcast") {
      if (message.node !== this.#node.id) this.#router.deliverToAll(room, message.frame);
    } else if (message?.kind === "join" || message?.kind === "leave" || message?.kind === "move") {
      this.#views.get(room)?.apply(message);
    }
  }

  // Messages

  async send(from: Client, targetId: string, frame: string): Promise<Delivery> {
    const room = from.room.name;
    const settling = this.#settling(room, targetId);
    if (settling !== null) {
      await settling;
      return await this.#router.send(from, targetId, frame);
    }
    const messageId = `${this.#node.id}:${++this.#messageCount}`;
    const sender = { node: this.#node.id, id: from.id, messageId };
    const text = writeMessage({ kind: "message", room, targetId, frame, sender });
    const bytes = Buffer.byteLength(text);
    const maxMessages = this.#kept.hasRoomFor(bytes) ? MAX_MESSAGES_PER_TARGET : 0;
    // Before the reply: the receipt of a message that was kept may come at the same time.
    this.#kept.add({ id: messageId, sender: from, targetId, bytes });
    const delivery = await this.#runSend(room, targetId, text, messageId, bytes, maxMessages);
    if (delivery !== "kept") this.#kept.delete(messageId);
    return delivery;
  }

  async #runSend(
    room: string,
    targetId: string,
    text: string,
    messageId: string,
    bytes: number,
    maxMessages: number,
    onlyIfKnown = false,
  ): Promise<Delivery> {
    const reply = await this.#node.run(
      "send",
      ...roomKeys(room, targetId),
      targetId,
      text,
      messageId,
      bytes,
      this.#options.mailboxTtlMs,
      maxMessages,
      MAX_BYTES_PER_TARGET,
      onlyIfKnown ? 1 : 0,
      this.#node.notAfterMs,
    ).catch(() => "late");
    return reply === "late" ? "unavailable" : reply as Delivery;
  }

  broadcast(from: Client, frame: string): void {
    const channel = roomChannel(from.room.name);
    const message = writeMessage({ kind: "broadcast", node: this.#node.id, frame });
    this.#node.run("broadcast", channel, message, this.#node.notAfterMs)
      .catch(() => "late")
      .then((reply) => {
        if (reply === "late") this.#failBroadcast(from);
      });
  }

  #failBroadcast(from: Client): void {
    this.#events.failed("unavailable", from);
    const message =
      "The broadcast went to the clients of this node alone: the others cannot be reached.";
    this.#router.tell(from, errorFrame("unavailable", message));
  }

  tell(client: Client, frame: string): void {
    const { id, room } = client;
    const isHeld = this.#router.find(room.name, id) === client;
    if (!isHeld && !this.#moved.has(client)) return;
    const text = writeMessage({
      kind: "message",
      room: room.name,
      targetId: id,
      frame,
      sender: null,
    });
    const messageId = `${this.#node.id}:${++this.#messageCount}`;
    const bytes = Buffer.byteLength(text);
    this.#runSend(room.name, id, text, messageId, bytes, MAX_MESSAGES_PER_TARGET, true);
  }

  #onNodeMessage(text: string): void {
    const thaw = this.#node.thaw;
    if (thaw !== null) return void thaw.then(() => this.#onNodeMessage(text));
    const message = readMessage(text);
    if (message?.kind === "message") this.#onDirect(message);
    else if (message?.kind === "replaced") this.#onReplaced(message);
    else if (message?.kind === "receipt") this.#kept.delete(message.messageId);
  }

  #onDirect(message: DirectMessage): void {
    const { room, targetId, frame, sender } = message;
    const settling = this.#settling(room, targetId);
    if (settling !== null) return void settling.then(() => this.#onDirect(message));
    const isDelivered = this.#router.find(room, targetId)?.link?.send(frame) ?? false;
    if (!isDelivered && sender !== null) this.#sendBack(message, sender);
  }

  /** The target left while the message was under way: its sender is told, and the order of messages is kept. */
  #sendBack({ room, targetId }: DirectMessage, sender: NonNullable<DirectMessage["sender"]>): void {
    const frame = errorFrame("target_not_found", targetNotFound(targetId), targetId);
    this.#publish(sender.node, { kind: "message", room, targetId: sender.id, frame, sender: null });
  }

  #publish(node: string, message: DirectMessage | ReceiptMessage): void {
    this.#node.session?.publish(nodeChannel(node), writeMessage(message)).catch(() => {});
  }

  /** The time of a kept message is up. Says whether nobody had fetched it. */
  async #takeBack({ sender, targetId, id, bytes }: KeptMessage): Promise<boolean> {
    const [, mail, size] = roomKeys(sender.room.name, targetId);
    const reply = await this.#node.run("expire", mail, size, id, bytes).catch(() => 0);
    return reply === 1;
  }

  #reportLost({ sender, targetId }: KeptMessage): void {
    this.#events.failed("target_not_found", sender);
    this.#router.tell(sender, errorFrame("target_not_found", targetNotFound(targetId), targetId));
  }

  // The node's life

  #onLost(error: unknown): void {
    for (const record of this.#records.values()) record.isKnown = false;
    for (const view of this.#views.values()) view.markStale();
    this.#events.clusterLost(error);
  }

  /** Makes this node's clients known, forgets those that left meanwhile, and learns who is where. */
  async #sync(session: RedisSession): Promise<void> {
    for (const record of this.#records.values()) record.isKnown = false;
    for (const view of this.#views.values()) view.markStale();
    if (this.#subscribed !== session) {
      this.#subscribed = session;
      await session.subscribe(nodeChannel(this.#node.id), (text) => this.#onNodeMessage(text));
      for (const room of this.#views.keys()) this.#subscribe(session, room);
    }
    for (let unknown = this.#unknown(); unknown.length > 0; unknown = this.#unknown()) {
      await Promise.all(unknown.map((client) => this.#reclaim(session, client)));
    }
    await this.#forgetLeft(session);
    await Promise.all([...this.#views.keys()].map((room) => this.#refresh(session, room)));
  }

  #unknown(): Client[] {
    const unknown: Client[] = [];
    for (const [client, record] of this.#records) {
      if (!record.isKnown && unknown.push(client) === RECLAIMS_AT_ONCE) break;
    }
    return unknown;
  }

  async #reclaim(session: RedisSession, client: Client): Promise<void> {
    const { id, room } = client;
    const record = this.#records.get(client);
    if (record === undefined) return;
    const [status, number] = await session.run(
      "reclaim",
      idsKey(room.name),
      room.name,
      id,
      this.#node.id,
      record.number,
      record.claimedAtMs,
      record.secretHash,
      client.link === null ? 1 : 0,
    ) as ["ok" | "lost", number];
    if (status === "ok") {
      record.number = number;
      record.isKnown = true;
    }
    const isStillHere = this.#records.get(client) === record;
    if (isStillHere && status === "lost") this.#evict(client);
    if (!isStillHere && status === "ok") this.#release(room.name, id, record);
  }

  /** Clients that left while Redis could not be told. */
  async #forgetLeft(session: RedisSession): Promise<void> {
    const known = await session.run("owned", this.#node.id) as string[];
    await Promise.all(known.map(async (entry) => {
      const [room, id] = readEntry(entry);
      if (this.#router.find(room, id) !== undefined || this.#settling(room, id) !== null) return;
      await session.run("forget", idsKey(room), room, id, this.#node.id);
    }));
  }

  #onDead(session: RedisSession, nodes: readonly string[]): void {
    for (const node of nodes) this.#bury(session, node).catch(() => {});
  }

  /** Clears the clients of a dead node away; the IDs that may be resumed are held here. */
  async #bury(session: RedisSession, node: string): Promise<void> {
    const entries = await session.run("reap", node, this.#node.id) as string[];
    await Promise.all(entries.map(async (entry) => {
      const [room, id] = readEntry(entry);
      const reply = await session.run("bury", idsKey(room), room, id, node, this.#node.id);
      const [status, number, claimedAtMs, secretHash] = reply as [string, number, number, string];
      if (status === "adopted") {
        await this.#adopt(session, room, id, { number, claimedAtMs, secretHash, isKnown: true });
      }
    }));
  }

  async #adopt(session: RedisSession, room: string, id: string, record: Record): Promise<void> {
    const settling = this.#settling(room, id);
    if (settling !== null) await settling;
    if (this.#router.find(room, id) !== undefined) return; // resumed here meanwhile
    const isNew = !this.#views.has(room);
    this.#enterRoom(room);
    this.#records.set(this.#router.adopt(room, id), record);
    if (isNew) await this.#refresh(session, room);
  }
}

/** A client that has registered by what this node alone knows. */
function unknownRecord({ secret }: Client): Record {
  return { number: 0, claimedAtMs: Date.now(), secretHash: hash(secret), isKnown: false };
}

/** What of a secret is known to Redis; `""` for none. */
function hash(secret: string | null): string {
  return secret === null ? "" : createHash("sha256").update(secret).digest("base64");
}

/** Kept messages in the order in which they came: each begins with its number. */
function readMail(entries: readonly string[]): DirectMessage[] {
  const numbered = entries.map((entry) => {
    const space = entry.indexOf(" ");
    return { number: Number(entry.slice(0, space)), message: readMessage(entry.slice(space + 1)) };
  });
  numbered.sort((a, b) => a.number - b.number);
  return numbered.flatMap(({ message }) => message?.kind === "message" ? [message] : []);
}

/** A room and an ID from a node's set of clients. */
function readEntry(entry: string): [room: string, id: string] {
  const end = entry.indexOf("\0");
  return [entry.slice(0, end), entry.slice(end + 1)];
}

function claimKey(room: string, id: string): string {
  return `${room}\0${id}`;
}

function idsKey(room: string): string {
  return `signalbox:{${room}}:ids`;
}

/** The IDs of a room; what is kept for one of them; its size. */
function roomKeys(room: string, id: string): [ids: string, mail: string, size: string] {
  return [idsKey(room), `signalbox:{${room}}:mail:${id}`, `signalbox:{${room}}:bytes:${id}`];
}

function roomChannel(room: string): string {
  return `signalbox:{${room}}:events`;
}

function nodeChannel(node: string): string {
  return `signalbox:node:${node}`;
}
