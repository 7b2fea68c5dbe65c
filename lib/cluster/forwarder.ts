/**
 * Sends messages to clients of other nodes. The sender's node stores those that cannot be delivered, those that another node
 * returns, and those that must not overtake older ones.
 */

import { Buffer } from "node:buffer";
import type { Clock } from "../clock.ts";
import type { Emit } from "../events.ts";
import { type DirectoryOptions, undelivered } from "../relay/directory.ts";
import { Mailbox, type StoredMessage } from "../relay/mailbox.ts";
import type { Router } from "../relay/router.ts";
import type { Session } from "../relay/session.ts";
import {
  clientKey,
  type ErrorCode,
  isClientId,
  type Message,
  type Notice,
} from "../relay/vocabulary.ts";
import { unlessDisconnected } from "./disconnected.ts";
import type { Keys } from "./keys.ts";
import { Link } from "./link.ts";
import {
  type Broadcast,
  type Packet,
  type PacketKind,
  type Publication,
  writeBroadcast,
} from "./messages.ts";
import type { Node } from "./node.ts";
import type { Registry } from "./registry.ts";
import type { Rooms } from "./rooms.ts";

/** Upper bound of unacknowledged messages and of unconfirmed broadcasts, in bytes. */
const MAX_BYTES_IN_FLIGHT = 64 * 1024 * 1024;
/** Time for which a message may wait for older ones, even without a mailbox, in milliseconds. */
const WAIT_MS = 5000;
/** Upper bound of the broadcasts of one node that wait for its older messages to one client. */
const MAX_DELAYED = 500;
/** Upper bound of the time for which a broadcast waits for older messages, in milliseconds. */
const MAX_DELAY_MS = 20_000;
/** Time limit for a client's former node to return messages, in milliseconds. */
const FORMER_NODE_TIMEOUT_MS = 2500;
/** Time after which the node sends a returned message to the same owner again, in milliseconds. */
const RETRY_MS = 50;
/** Time between two flushes at a shutdown, in milliseconds. */
const FLUSH_INTERVAL_MS = 5;
/** Time without Redis after which the senders of unconfirmed messages are notified, in milliseconds. */
const OUTAGE_MS = 5000;

/** A message of a client of this node that is neither delivered nor dropped. */
interface Item extends StoredMessage<Session> {
  readonly kind: PacketKind;
  /** The place of the message among all messages of this node. */
  readonly order: number;
  readonly key: string;
  readonly bytes: number;
  /** The unacknowledged messages that it belongs to; null if it is not in flight. */
  flight: Flight | null;
}

/** Unacknowledged messages for one registration. */
interface Flight {
  readonly node: string;
  readonly epoch: number;
  count: number;
  /** True if newer messages no longer wait for these, so that a return comes too late. */
  isLate: boolean;
  /** True if newer messages wait for these, or did. */
  isAwaited: boolean;
}

/** Broadcasts of a node for a client that may still receive older messages of that node. */
interface Delayed {
  readonly broadcasts: { readonly order: number; run(): void }[];
  /** The epoch of the registration for which this node has sent a request; 0 before. */
  epoch: number;
  cancel(): void;
}

interface ForwarderDeps {
  readonly keys: Keys;
  readonly options: DirectoryOptions;
  readonly emit: Emit;
  readonly router: Router;
  readonly node: Node;
  readonly registry: Registry;
  readonly rooms: Rooms;
  readonly clock: Clock;
}

export class Forwarder {
  readonly #deps: ForwarderDeps;
  readonly #mailbox: Mailbox<Session, Item>;
  readonly #links = new Map<string, Link<Item>>();
  /** Unacknowledged messages, by target. */
  readonly #flights = new Map<string, Flight>();
  /** Broadcasts that wait for older messages, by {@link delayedKey}. */
  readonly #delayed = new Map<string, Delayed>();
  /** The order of the last broadcast of each node. An earlier one is late, and its sender was notified. */
  readonly #lastBroadcasts = new Map<string, number>();
  /** Responses to other nodes, by client: this node sends them once no message for the client waits here. */
  readonly #pendingResponses = new Map<string, (() => void)[]>();
  #mailboxTtlMs: number;
  #count = 0;
  #bytesInFlight = 0;
  /** Ends the time that {@link onLost} starts; null if it does not run. */
  #cancelOutage: (() => void) | null = null;

  constructor(deps: ForwarderDeps) {
    const { clock, options: { mailboxTtlMs } } = deps;
    this.#deps = deps;
    this.#mailboxTtlMs = mailboxTtlMs;
    this.#mailbox = new Mailbox(clock, mailboxTtlMs, (item) => {
      this.#fail(item, "target_not_found");
      deps.rooms.closeUnused(item.sender.room.name);
    });
  }

  /** The number of stored messages. */
  get stored(): number {
    return this.#mailbox.size;
  }

  /** Returns whether messages are stored for clients of a room. */
  hasStored(room: string): boolean {
    return this.#mailbox.hasStored(room);
  }

  /** Sends a message to a client that is not connected here, or whose older messages wait here. */
  send(from: Session, targetId: string, message: Message): void {
    const item = this.#itemOf("message", from, targetId, message.text, message.storage);
    if (!isClientId(targetId)) return this.#fail(item, "target_not_found"); // no client can have this ID
    const isLocal = this.#deps.router.find(from.room.name, targetId) !== undefined;
    if (!this.#deps.node.isReady && !isLocal) return this.#fail(item, "unavailable");
    const event = this.#route(item);
    if (event !== null) this.#deps.emit({ kind: event, from, targetId, message });
  }

  #itemOf(
    kind: PacketKind,
    sender: Session,
    targetId: string,
    text: string,
    storage?: Item["storage"],
  ): Item {
    const key = clientKey(sender.room.name, targetId);
    const [order, bytes] = [++this.#count, Buffer.byteLength(text)];
    return { kind, sender, targetId, text, storage, order, key, bytes, flight: null };
  }

  /** Sends or stores a message after all older ones for its target; returns null if it was dropped. */
  #route(item: Item): "sent" | "stored" | null {
    const { kind, targetId, text, sender: { id, room: { name: room } } } = item;
    if (this.#mailbox.has(room, targetId) || this.#mustWait(room, targetId)) {
      return this.#store(item);
    }
    const local = this.#deps.router.find(room, targetId);
    if (local !== undefined) {
      return this.#deliverTo(local, kind, id, text) ? "sent" : this.#store(item);
    }
    const owner = this.#deps.rooms.ownerOf(room, targetId);
    if (owner === undefined || owner.isHeld || owner.node === this.#deps.node.id) {
      return this.#store(item);
    }
    return this.#sendTo(owner.node, owner.epoch, item) ? "sent" : null;
  }

  /** Returns whether a client's former node may still return messages for it. */
  #mustWait(room: string, id: string): boolean {
    const flight = this.#flights.get(clientKey(room, id));
    if (flight === undefined) return false;
    if (this.#deps.router.find(room, id) !== undefined) return true; // the view may not have the change yet
    const owner = this.#deps.rooms.ownerOf(room, id);
    return flight.node !== owner?.node || flight.epoch !== owner.epoch;
  }

  /** Delivers a message or notice to a client of this node; returns false if it is not connected. */
  #deliverTo(target: Session, kind: PacketKind, senderId: string, text: string): boolean {
    if (kind === "notice") {
      this.#deps.router.notify(target, JSON.parse(text));
      return true;
    }
    this.#deps.router.flushBefore(target.room.name, senderId, target);
    return target.connection?.send(text) ?? false;
  }

  #sendTo(node: string, epoch: number, item: Item): boolean {
    const { kind, sender, targetId, text, order, key, bytes } = item;
    if (this.#bytesInFlight + bytes > MAX_BYTES_IN_FLIGHT) {
      this.#fail(item, "unavailable");
      return false;
    }
    this.#bytesInFlight += bytes;
    const flight = this.#flights.get(key) ??
      { node, epoch, count: 0, isLate: false, isAwaited: false };
    this.#flights.set(key, flight);
    flight.count++;
    item.flight = flight;
    const room = sender.room.name;
    this.#deps.rooms.use(room);
    const packet = { kind, room, targetId, epoch, senderId: sender.id, order, text };
    this.#linkTo(node).send({ packet, item });
    return true;
  }

  #linkTo(node: string): Link<Item> {
    let link = this.#links.get(node);
    if (link === undefined) {
      link = new Link(node, this.#deps.keys.nodeChannel(node), this.#deps.node, this.#deps.clock, {
        deliver: (node, packet) => this.#deliver(node, packet),
        onControl: (node, packet) => this.#onControl(node, packet),
        onDone: (items) => this.#endFlights(items),
        onReturned: (items, node) => this.#onReturned(items, node),
        mayDeliver: () => this.#deps.node.whenLeaseValid(this.#deps.clock.now()) === null,
      });
      this.#links.set(node, link);
    }
    return link;
  }

  /** Stores a message; returns null if it was dropped. */
  #store(item: Item): "stored" | null {
    const { sender: { room: { name: room } }, targetId, storage, kind } = item;
    const owner = this.#deps.rooms.ownerOf(room, targetId);
    const isConnected = owner !== undefined && !owner.isHeld;
    const ownTtlMs = Math.min(this.#mailboxTtlMs, storage?.maxTtlMs ?? Infinity);
    const ttlMs = isConnected || kind !== "message" ? Math.max(ownTtlMs, WAIT_MS) : ownTtlMs;
    if (ttlMs === 0) {
      this.#fail(item, "target_not_found");
      return null;
    }
    if (!this.#mailbox.store(room, item, ttlMs)) {
      this.#fail(item, "mailbox_full");
      return null;
    }
    if (isConnected) this.#deps.rooms.get(room)?.waiting.add(targetId);
    return "stored";
  }

  /** Notifies the sender of a dropped message, unless no notice is due: notices, broadcasts, `maxTtlMs` of 0. */
  #fail({ kind, sender, targetId, storage }: Item, code: ErrorCode): void {
    if (kind !== "message" || storage?.maxTtlMs === 0) return;
    this.#deps.router.fail(sender, undelivered(code, targetId));
  }

  /**
   * Counts messages as no longer in flight, and delivers newer ones that have waited for them.
   *
   * @param later targets whose stored messages must wait on
   */
  #endFlights(items: readonly Item[], later: ReadonlySet<string> = new Set()): void {
    for (const item of items) {
      const { flight, key, bytes, sender: { room: { name: room } }, targetId } = item;
      if (flight === null) continue; // its node was dead, and has come back
      item.flight = null;
      this.#bytesInFlight -= bytes;
      if (--flight.count === 0 && !flight.isLate) {
        this.#flights.delete(key);
        if (!later.has(key)) this.flush(room, targetId);
      }
      this.#deps.rooms.release(room);
    }
  }

  /** Stores messages that another node has returned, before newer ones. */
  #onReturned(items: readonly Item[], node: string): void {
    const [soon, later] = [new Map<string, Item>(), new Map<string, Item>()];
    for (const item of items) {
      const { kind, sender, targetId, text, key, flight } = item;
      const { room: { name: room } } = sender;
      const owner = this.#deps.rooms.ownerOf(room, targetId);
      if (flight === null || flight.isLate) {
        // That node was dead or too slow, and newer messages have been sent elsewhere. A notice may come after them.
        if (kind === "notice") this.storeNotice(sender, JSON.parse(text));
        else this.#fail(item, "target_not_found");
      } else if (this.#store(item) !== null) {
        const isSame = owner !== undefined && owner.node === node && owner.epoch === flight.epoch;
        (isSame ? later : soon).set(key, item);
      }
    }
    this.#endFlights(items, new Set(later.keys()));
    const flushTargets = (items: Map<string, Item>) => {
      for (const { sender, targetId } of items.values()) this.flush(sender.room.name, targetId);
    };
    flushTargets(soon);
    if (later.size > 0) this.#deps.clock.after(RETRY_MS, () => flushTargets(later));
  }

  /** Delivers stored messages for a client, unless another node may still return older ones. */
  flush(room: string, id: string, isNew = false): void {
    const key = clientKey(room, id);
    const view = this.#deps.rooms.get(room);
    const local = this.#deps.router.find(room, id);
    const owner = view?.ownerOf(id);
    const isElsewhere = owner !== undefined && !owner.isHeld && owner.node !== this.#deps.node.id;
    const isConnected = local === undefined ? isElsewhere : local.connection !== null;
    const isWaiting = this.#mustWait(room, id);
    if (local !== undefined) local.isWaiting = isWaiting;
    if (isWaiting && isConnected) view?.waiting.add(id);
    else view?.waiting.delete(id);
    if (isWaiting) return isConnected ? this.#limitWait(room, id) : undefined;
    if (isConnected) this.#deliverStored(room, id, isNew);
    else if (this.#mailboxTtlMs === 0) this.#storeAgain(room, id);
    for (const respond of this.#pendingResponses.get(key) ?? []) respond();
    this.#pendingResponses.delete(key);
    this.#deps.rooms.closeUnused(room); // these may have been its last stored messages
  }

  /** Limits the wait of newer messages for a client that has moved, because its former node may be paused. */
  #limitWait(room: string, id: string): void {
    const key = clientKey(room, id);
    const flight = this.#flights.get(key);
    if (flight === undefined || flight.isAwaited) return;
    flight.isAwaited = true;
    this.#deps.clock.after(FORMER_NODE_TIMEOUT_MS, () => {
      if (this.#flights.get(key) !== flight) return;
      flight.isLate = true;
      this.#flights.delete(key);
      this.flush(room, id);
    });
  }

  /** @param isNew true if stored notices are for a former session */
  #deliverStored(room: string, id: string, isNew: boolean): void {
    for (const item of this.#take(room, id)) {
      if (isNew && item.kind === "notice") continue;
      const isSent = this.#route(item) === "sent";
      const target = this.#deps.router.find(room, id);
      if (isSent && target !== undefined) {
        this.#deps.emit({ kind: "stored_delivered", client: target });
      }
    }
  }

  /** Stores messages for a disconnected client again: without a mailbox, only notices and broadcasts wait on. */
  #storeAgain(room: string, id: string): void {
    for (const item of this.#take(room, id)) this.#store(item);
  }

  #take(room: string, id: string): readonly Item[] {
    return this.#mailbox.take(room, id).sort((one, other) => one.order - other.order);
  }

  /** Handles a publication for this node. */
  receive(publication: Publication): void {
    this.#linkTo(publication.node).receive(publication);
  }

  #onControl(node: string, { kind, room, targetId, epoch }: Packet): void {
    if (kind === "response") {
      const delayed = this.#delayed.get(delayedKey(node, room, targetId));
      if (delayed?.epoch !== epoch) return;
      const isEarly = this.#linkTo(node).hasReturned(clientKey(room, targetId));
      if (isEarly) this.#sendControl("request", node, room, targetId, epoch);
      else this.#release(node, room, targetId);
      return;
    }
    const isWaiting = this.#deps.rooms.get(room)?.waiting.has(targetId) ?? false;
    const respond = () => this.#sendControl("response", node, room, targetId, epoch);
    if (!isWaiting) return respond();
    const key = clientKey(room, targetId);
    this.#pendingResponses.set(key, [...this.#pendingResponses.get(key) ?? [], respond]);
  }

  /** Delivers a packet of another node; returns false if this node returns it. */
  #deliver(node: string, packet: Packet): boolean {
    const { kind, room, targetId, epoch, senderId, order, text } = packet;
    const target = this.#deps.router.find(room, targetId);
    if (target === undefined || this.#deps.registry.epochOf(target) !== epoch) return false;
    this.#release(node, room, targetId, order);
    return this.#deliverTo(target, kind, senderId, text);
  }

  /** Sends a message to all clients of the sender's room on other nodes. */
  async broadcast(from: Session, text: string): Promise<void> {
    const room = from.room.name;
    const view = this.#deps.rooms.get(room);
    const except = [...view?.waiting ?? []].filter((id) => id !== from.id);
    for (const id of except) this.#route(this.#itemOf("broadcast", from, id, text));
    const after: Record<string, number> = {};
    for (const { node, lastPending } of this.#links.values()) {
      if (lastPending > 0) after[node] = lastPending;
    }
    const { id: node, deadlineMs } = this.#deps.node;
    const [order, seenEpoch] = [++this.#count, view?.seenEpoch ?? 0];
    const rest = { order, deadlineMs, seenEpoch, after, except, text };
    const written = writeBroadcast({ node, senderId: from.id, ...rest });
    const { length } = written;
    const isPossible = this.#deps.node.isReady &&
      this.#bytesInFlight + length <= MAX_BYTES_IN_FLIGHT;
    this.#bytesInFlight += length;
    const publish = () => this.#deps.node.publish(this.#deps.keys.roomChannel(room), written);
    const isSent = isPossible && await unlessDisconnected(publish().then(() => true), false);
    this.#bytesInFlight -= length;
    if (isSent) return;
    const message =
      "The broadcast went to the clients of this node alone: the others cannot be reached.";
    this.#deps.router.fail(from, { kind: "error", code: "unavailable", message });
  }

  /**
   * Delivers a broadcast of another node, after older messages of that node.
   *
   * @param isOnTime false if this node had no lease: then the sender of a late broadcast may not have been notified
   */
  onBroadcast(room: string, broadcast: Broadcast, isOnTime: boolean): void {
    const { node, order, deadlineMs, after, except } = broadcast;
    if (node === this.#deps.node.id) return;
    const isLate = isOnTime && deadlineMs < this.#deps.node.redisTimeMs;
    if (isLate || order < (this.#lastBroadcasts.get(node) ?? 0)) return;
    this.#lastBroadcasts.set(node, order);
    const link = this.#linkTo(node);
    const sessions = [...this.#deps.router.room(room)?.sessions.values() ?? []]; // clients that register later do not get it
    link.after(after[this.#deps.node.id] ?? 0, () => {
      for (const session of sessions) {
        if (!except.includes(session.id)) this.#deliverBroadcast(session, broadcast, link);
      }
    });
  }

  #deliverBroadcast(session: Session, broadcast: Broadcast, link: Link<Item>): void {
    const { room: { name: room }, id, connection } = session;
    if (connection === null) return;
    const { node, senderId, order, seenEpoch, text } = broadcast;
    const run = () => { // a later connection may still receive older messages
      if (session.connection !== connection) return;
      this.#deps.router.flushBefore(room, senderId, session);
      connection.send(text);
    };
    const key = delayedKey(node, room, id);
    const isConfirmed = this.#deps.registry.isConfirmed(session);
    const isKnown = isConfirmed && this.#deps.registry.epochOf(session) <= seenEpoch;
    const epoch = isConfirmed ? this.#deps.registry.epochOf(session) : 0;
    const delayed = this.#delayed.get(key);
    const isSame = delayed?.epoch === epoch || !isConfirmed;
    if (delayed !== undefined && isSame) {
      if (delayed.broadcasts.push({ order, run }) > MAX_DELAYED) this.#release(node, room, id);
      return;
    }
    delayed?.cancel(); // they were for a former registration
    this.#delayed.delete(key);
    if (isKnown && !link.hasReturned(clientKey(room, id))) return run();
    const cancel = this.#deps.clock.after(MAX_DELAY_MS, () => this.#release(node, room, id));
    this.#delayed.set(key, { broadcasts: [{ order, run }], epoch, cancel });
    if (isConfirmed) this.#sendControl("request", node, room, id, epoch);
  }

  /** Requests responses for the broadcasts that wait for a client, now that Redis has its epoch. */
  onConfirmed(session: Session): void {
    const { room: { name: room }, id } = session;
    for (const node of this.#links.keys()) {
      const delayed = this.#delayed.get(delayedKey(node, room, id));
      if (delayed?.epoch !== 0) continue;
      delayed.epoch = this.#deps.registry.epochOf(session);
      this.#sendControl("request", node, room, id, delayed.epoch);
    }
  }

  #sendControl(
    kind: "request" | "response",
    node: string,
    room: string,
    id: string,
    epoch: number,
  ): void {
    const packet = { kind, room, targetId: id, epoch, senderId: id, order: 0, text: "" };
    this.#linkTo(node).send({ packet, item: null });
  }

  /** Delivers broadcasts that have waited for older messages: all, or those before a place in the order. */
  #release(node: string, room: string, id: string, beforeOrder = Infinity): void {
    const key = delayedKey(node, room, id);
    const delayed = this.#delayed.get(key);
    if (delayed === undefined) return;
    const later = delayed.broadcasts.findIndex(({ order }) => order > beforeOrder);
    const due = delayed.broadcasts.splice(0, later === -1 ? delayed.broadcasts.length : later);
    if (delayed.broadcasts.length === 0) {
      this.#delayed.delete(key);
      delayed.cancel();
    }
    for (const { run } of due) run();
  }

  /** Notifies a client that is detached, or has moved to another node. */
  storeNotice(session: Session, notice: Notice): void {
    const isDetached = this.#deps.router.find(session.room.name, session.id) === session;
    if (isDetached) session.pendingNotices.push(notice);
    else if (session.hasMoved) {
      const { room: { name: room }, id } = session;
      this.#deps.rooms.openAndRead(room); // the client may have been the last one of the room here
      this.#route(this.#itemOf("notice", session, id, JSON.stringify(notice)));
      this.#deps.rooms.closeUnused(room); // if the mailbox is full
    }
  }

  /** Delivers the pending notices of a session that is attached again, or has moved to another node. */
  deliverNotices(session: Session): void {
    for (const notice of session.pendingNotices.splice(0)) {
      this.#deps.router.notify(session, notice);
    }
  }

  /** Starts the time after which unconfirmed messages are dropped. Called at each failed attempt to reach Redis. */
  onLost(): void {
    this.#cancelOutage ??= this.#deps.clock.after(OUTAGE_MS, () => {
      this.#cancelOutage = null;
      for (const link of this.#links.values()) {
        const items = link.removeUnconfirmed();
        for (const item of items) this.#fail(item, "unavailable");
        this.#endFlights(items);
      }
    });
  }

  /** Resumes what the end of the last session with Redis has interrupted. */
  onReady(): void {
    this.#cancelOutage?.();
    this.#cancelOutage = null;
    for (const link of this.#links.values()) link.resume();
  }

  /** Handles the end of another node, which has left (`isOrderly`) or is dead. */
  onNodeEnd(node: string, isOrderly: boolean): void {
    const link = this.#links.get(node);
    if (!isOrderly) return link?.onDead();
    link?.onLeft();
    for (const key of [...this.#delayed.keys()]) {
      const [of, room, id] = key.split("\0") as [string, string, string];
      if (of === node) this.#release(node, room, id);
    }
  }

  /** Sends unacknowledged messages again, and forgets dead nodes. Called at each heartbeat. */
  check(): void {
    for (const [node, link] of this.#links) {
      link.check();
      if (!link.isForgettable) continue;
      this.#links.delete(node);
      this.#lastBroadcasts.delete(node);
    }
  }

  /** Expires all stored messages, because a node that has left cannot notify their senders. */
  expireStored(): void {
    this.#mailboxTtlMs = 0;
    this.#mailbox.expireAll();
  }

  /** Flushes until no message is stored, and none is in flight to another node. */
  async flushAll(): Promise<void> {
    while (this.stored > 0 || [...this.#links.values()].some(({ isIdle }) => !isIdle)) {
      for (const link of this.#links.values()) link.flush();
      await new Promise<void>((resolve) => this.#deps.clock.after(FLUSH_INTERVAL_MS, resolve));
    }
  }

  stop(): void {
    this.#cancelOutage?.();
    for (const link of this.#links.values()) link.stop();
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#mailbox.clear();
  }
}

function delayedKey(node: string, room: string, id: string): string {
  return `${node}\0${clientKey(room, id)}`;
}
