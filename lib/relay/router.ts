/** Maps rooms and IDs to sessions, and sends each message to its target or to all others in the room. */

import { type Clock, Deadlines } from "../clock.ts";
import type { Emit } from "../events.ts";
import type { Capacity } from "./capacity.ts";
import type { Claim, Directory } from "./directory.ts";
import { type Change, Presence } from "./presence.ts";
import { Room, Session, type SessionConnection } from "./session.ts";
import { Topics } from "./topics.ts";
import type {
  EndReason,
  ErrorNotice,
  Message,
  Notice,
  PresenceMode,
  Registration,
} from "./vocabulary.ts";

interface RouterOptions {
  /** Time for which the ID of a lost connection is held, in milliseconds; 0 holds none. */
  readonly resumeTtlMs: number;
}

export class Router {
  readonly #emit: Emit;
  readonly #capacity: Capacity;
  readonly #rooms = new Map<string, Room>();
  readonly #held: Deadlines<Session>;
  readonly #presence: Presence;
  readonly directory: Directory;
  readonly topics: Topics;
  #size = 0;

  constructor(
    { resumeTtlMs }: RouterOptions,
    capacity: Capacity,
    clock: Clock,
    emit: Emit,
    createDirectory: (router: Router) => Directory,
  ) {
    this.#emit = emit;
    this.#capacity = capacity;
    this.#held = new Deadlines(clock, resumeTtlMs, (session) => this.#endHeld(session));
    this.#presence = new Presence(clock);
    this.directory = createDirectory(this);
    this.topics = new Topics((key, isWatched) => this.directory.watchTopic(key, isWatched));
  }

  /** The number of clients that are registered and connected. */
  get connected(): number {
    return this.#size - this.#held.size;
  }

  /** Finds a session of this node, attached or detached. */
  find(room: string, id: string): Session | undefined {
    return this.#rooms.get(room)?.sessions.get(id);
  }

  /** Finds a room in which this node has sessions. */
  room(name: string): Room | undefined {
    return this.#rooms.get(name);
  }

  /** Returns for how long the ID of a detached session is still held, in milliseconds. */
  heldForMs(session: Session): number {
    return this.#held.remainingMs(session);
  }

  /** Attaches a connection to the session that its claim gives it. */
  attach(registration: Registration, connection: SessionConnection, claim: Claim): Session {
    const { clientId, room } = registration;
    const session = this.find(room, clientId) ?? this.#create(room, clientId);
    const older = session.connection;
    if (this.#held.delete(session)) this.#capacity.countHeld(session.address, -1);
    if (older !== null) this.#emit({ kind: "unregistered", client: session, reason: "replaced" });
    if (!claim.resumed) session.pendingNotices.length = 0;
    session.connection = connection;
    session.secret = claim.secret;
    session.address = connection.address;
    session.dialect = connection.dialect;
    session.isHoldable = claim.secret !== null && registration.ownSecret === undefined;
    session.topics = registration.topics ?? null;
    connection.attached(session);
    older?.replaced();
    this.setPresence(session, registration.presence);
    this.#emit({ kind: "registered", client: session });
    return session;
  }

  #create(roomName: string, id: string): Session {
    const room = this.#rooms.get(roomName) ?? new Room(roomName);
    const session = new Session(id, room);
    room.sessions.set(id, session);
    this.#rooms.set(roomName, room);
    this.#size++;
    return session;
  }

  /**
   * Ends the connection of a session. A replaced connection no longer has the session, and cannot take its ID away.
   *
   * @param mayResume true if the ID is held, provided that the client asked for it
   * @param reason the reason for which the server closed the connection; null if it did not
   */
  detach(
    session: Session,
    connection: SessionConnection,
    mayResume: boolean,
    reason: EndReason | null,
  ): void {
    if (session.connection !== connection) return;
    if (!mayResume || !session.isHoldable) return this.#remove(session, reason);
    session.connection = null;
    this.#presence.unwatch(session);
    this.#hold(session);
    this.#emit({ kind: "detached", client: session, reason });
    this.directory.detached(session);
  }

  #hold(session: Session): void {
    this.#held.add(session);
    this.#capacity.countHeld(session.address, 1);
    if (this.#held.size <= this.#capacity.maxHeld) return;
    const oldest = this.#held.takeOldest();
    if (oldest !== undefined) this.#endHeld(oldest);
  }

  #endHeld(session: Session): void {
    this.#capacity.countHeld(session.address, -1);
    this.#remove(session, null);
  }

  /**
   * Ends a session whose ID a newer connection on another node has taken.
   *
   * @param hasMoved true if that connection has resumed the session
   */
  evict(session: Session, hasMoved: boolean): void {
    const { connection } = session;
    if (this.#held.delete(session)) this.#capacity.countHeld(session.address, -1);
    session.hasMoved = hasMoved;
    this.#remove(session, "replaced");
    connection?.replaced();
  }

  #remove(session: Session, reason: EndReason | null): void {
    const { room } = session;
    session.connection = null;
    this.#presence.unwatch(session);
    this.topics.leave(session);
    room.sessions.delete(session.id);
    if (room.sessions.size === 0) this.#rooms.delete(room.name);
    this.#size--;
    this.#emit({ kind: "unregistered", client: session, reason });
    this.directory.ended(session);
  }

  /** Sends a text to one client of the sender's room; returns false if it is not connected to this node, or has to wait. */
  deliver(from: Session, targetId: string, text: string): boolean {
    const target = from.room.sessions.get(targetId);
    if (target === undefined || (target.isWaiting && target !== from)) return false;
    this.flushBefore(from.room.name, from.id, target);
    return target.connection?.send(text) ?? false;
  }

  /** Returns the number of clients that a broadcast of this session goes to. */
  recipients(from: Session): number {
    return this.directory.sizeOf(from.room.name) - 1;
  }

  /** Sends a message to all others in the sender's room, and returns their number. */
  broadcast(from: Session, message: Message): number {
    const { room } = from;
    this.flushBefore(room.name, from.id);
    let count = 0;
    for (const session of room.sessions.values()) {
      if (session === from || session.isWaiting) continue;
      if (session.connection?.send(message.text)) count++;
    }
    this.directory.broadcast(from, message);
    return count + Math.max(0, this.directory.sizeOf(room.name) - room.sessions.size);
  }

  /** Sends a text to all subscribers of a topic, and returns their number on this node. */
  publish(key: string, text: string): number {
    this.directory.publish(key, text);
    return this.topics.deliver(key, text);
  }

  /** Notifies a client now, or when it resumes. */
  notify(session: Session, notice: Notice): void {
    if (!session.connection?.notify(notice)) this.directory.storeNotice(session, notice);
  }

  /** Notifies a client that one of its messages failed. */
  fail(session: Session, notice: ErrorNotice): void {
    this.#emit({ kind: "error_sent", code: notice.code, subject: session });
    this.notify(session, notice);
  }

  /** Starts or ends the notices of joins and leaves. */
  setPresence(session: Session, mode: PresenceMode): void {
    if (mode === false) this.#presence.unwatch(session);
    else this.#presence.watch(session, mode === "batch");
  }

  /** Lists the IDs of the others in a session's room, held ones included. */
  peersOf({ id: own, room }: Session): string[] {
    return [...this.directory.idsIn(room.name)].filter((id) => id !== own);
  }

  /** Announces a join or leave to the watchers of a room. */
  announce(room: string, change: Change, id: string): void {
    this.#presence.announce(room, change, id);
  }

  /** Announces a sender to the receivers of its message before they get it. */
  flushBefore(room: string, senderId: string, receiver?: Session): void {
    this.#presence.flushBefore(room, senderId, receiver);
  }

  /** Ends all timers. */
  stop(): void {
    this.#held.clear();
    this.#presence.stop();
  }
}
