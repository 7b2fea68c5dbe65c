/** Who is connected under which ID in which room, and the way of a frame from one client to another or to all. */

import { type Clock, Deadlines } from "./clock.ts";
import { fromMember } from "./envelope.ts";
import type { ClientInfo, Events } from "./events.ts";
import { type Keeping, type Kept, Mailbox } from "./mailbox.ts";
import {
  errorFrame,
  isClientId,
  peerFrame,
  type Registration,
  targetNotFound,
} from "./protocol.ts";
import { isSecret, newSecret } from "./resume.ts";

/** What the router needs of a connection. */
export interface Link {
  /** Where it comes from: an IP address. */
  readonly address: string;
  /** Sends a frame; false where the connection can take none any more. */
  send(frame: string): boolean;
  /** A newer connection has registered this one's ID. */
  replaced(): void;
}

/** A namespace of IDs. */
class Room {
  readonly clients = new Map<string, Client>();
  /** Those of them who asked for presence. */
  readonly watchers = new Set<Client>();
  constructor(readonly name: string) {}
}

/** A registered client. It outlives its connection where a newer one takes its place, or may resume it. */
export class Client implements ClientInfo {
  /** What {@link readdress} puts into this client's frames. */
  readonly from: string;
  /** The connection that serves it now; null while its ID is held for a resume. */
  link: Link | null = null;
  /** With what it can be resumed; null where it did not ask for that. */
  secret: string | null = null;
  address = "";

  constructor(readonly id: string, readonly room: Room) {
    this.from = fromMember(id);
  }

  get roomName(): string {
    return this.room.name;
  }
}

/** What a registration has led to. */
export interface Registered {
  readonly client: Client;
  /** Whether it took back what it had before. */
  readonly resumed: boolean;
}

/** What became of a frame for one client. */
export type Delivery = "sent" | Keeping;

/** What a second registration of a connected ID does. */
export type DuplicateRule = "replace" | "reject";

export interface RouterOptions {
  readonly onDuplicate: DuplicateRule;
  /** How long messages for clients that are not connected are kept, in milliseconds; 0: not at all. */
  readonly mailboxTtlMs: number;
  /** How long the ID of a lost connection is held, in milliseconds; 0: not at all. */
  readonly resumeTtlMs: number;
}

export class Router {
  readonly #options: RouterOptions;
  readonly #events: Events;
  readonly #rooms = new Map<string, Room>();
  readonly #held: Deadlines<Client>;
  readonly #mailbox: Mailbox<Client | null>;
  readonly #announcements: { readonly room: Room; readonly frame: string }[] = [];
  #isAnnouncing = false;
  #size = 0;

  constructor(options: RouterOptions, clock: Clock, events: Events) {
    this.#options = options;
    this.#events = events;
    this.#held = new Deadlines(clock, options.resumeTtlMs, (client) => this.#remove(client));
    this.#mailbox = new Mailbox(clock, options.mailboxTtlMs, (message) => this.#expired(message));
  }

  /** How many clients are connected. */
  get connected(): number {
    return this.#size - this.#held.size;
  }

  /** How many IDs are held for a resume. */
  get held(): number {
    return this.#held.size;
  }

  /** How many messages wait in the mailbox. */
  get kept(): number {
    return this.#mailbox.size;
  }

  /**
   * Gives an ID to a connection; null where it is another's, and stays so.
   *
   * @param ownsId whether a token says that the ID is this connection's
   */
  register(registration: Registration, link: Link, ownsId: boolean): Registered | null {
    const { clientId, room: roomName, resume, presence } = registration;
    const room = this.#rooms.get(roomName) ?? new Room(roomName);
    const existing = room.clients.get(clientId);
    const resumed = existing !== undefined && mayResume(existing, resume);
    if (existing !== undefined && !resumed && !this.#mayReplace(existing, ownsId)) return null;
    const client = existing ?? this.#join(new Client(clientId, room));
    if (!resumed) client.secret = this.#newSecret(resume);
    this.#connect(client, link);
    this.setPresence(client, presence);
    this.#events.registered(client);
    return { client, resumed };
  }

  #mayReplace(client: Client, ownsId: boolean): boolean {
    return client.secret === null ? this.#options.onDuplicate === "replace" : ownsId;
  }

  #newSecret(resume: string | boolean): string | null {
    return resume !== false && this.#options.resumeTtlMs > 0 ? newSecret() : null;
  }

  #connect(client: Client, link: Link): void {
    const older = client.link;
    client.link = link;
    client.address = link.address;
    this.#held.delete(client);
    older?.replaced();
  }

  #join(client: Client): Client {
    const { room } = client;
    room.clients.set(client.id, client);
    this.#rooms.set(room.name, room);
    this.#size++;
    this.#announce(room, peerFrame("peer_joined", client.id));
    return client;
  }

  /** Whether a client is told who comes and goes. */
  setPresence(client: Client, wanted: boolean): void {
    if (wanted) client.room.watchers.add(client);
    else client.room.watchers.delete(client);
  }

  /** The IDs of the others in a client's room, those that are held among them. */
  peersOf(client: Client): string[] {
    return [...client.room.clients.keys()].filter((id) => id !== client.id);
  }

  /** Sends a client what was kept for it. */
  deliverKept(client: Client): void {
    for (const message of this.#mailbox.take(client.room.name, client.id)) {
      if (!client.link?.send(message.frame)) this.#expired(message);
    }
  }

  /**
   * The end of a connection. One that was replaced no longer serves the client, and so cannot take its ID away.
   *
   * @param mayReturn whether the ID is held, if the client asked for that
   */
  unregister(client: Client, link: Link, mayReturn: boolean): void {
    if (client.link !== link) return;
    if (!mayReturn || client.secret === null) return this.#remove(client);
    client.link = null;
    client.room.watchers.delete(client);
    this.#held.add(client);
    this.#events.held(client);
  }

  #remove(client: Client): void {
    const { room } = client;
    client.link = null;
    room.watchers.delete(client);
    room.clients.delete(client.id);
    if (room.clients.size === 0) this.#rooms.delete(room.name);
    this.#size--;
    this.#events.unregistered(client);
    this.#announce(room, peerFrame("peer_left", client.id));
  }

  /** Sends a frame to one client of the sender's room, or keeps it. */
  send(from: Client, targetId: string, frame: string): Delivery {
    const target = from.room.clients.get(targetId);
    if (target?.link?.send(frame)) return "sent";
    if (!isClientId(targetId)) return "off"; // nobody can ever come for it
    return this.#mailbox.keep(from.room.name, { sender: from, targetId, frame });
  }

  /** Nobody came for a message: its sender is told, if need be when it comes back. */
  #expired({ sender, targetId }: Kept<Client | null>): void {
    if (sender === null) return; // it was itself a report to somebody who did not come back
    this.#events.failed("target_not_found", sender);
    const frame = errorFrame("target_not_found", targetNotFound(targetId), targetId);
    if (sender.link?.send(frame)) return;
    const isHeld = sender.room.clients.get(sender.id) === sender;
    if (isHeld) this.#mailbox.keep(sender.room.name, { sender: null, targetId: sender.id, frame });
  }

  /** To how many a broadcast of this client would go. */
  recipients(from: Client): number {
    return from.room.clients.size - 1;
  }

  /** Sends a frame to all others in the sender's room, and tells to how many. */
  broadcast(from: Client, frame: string): number {
    let recipients = 0;
    for (const client of from.room.clients.values()) {
      if (client !== from && client.link?.send(frame)) recipients++;
    }
    return recipients;
  }

  /** Tells those who watch a room. One of them may be dropped over it, which is to be announced in turn: no recursion. */
  #announce(room: Room, frame: string): void {
    this.#announcements.push({ room, frame });
    if (this.#isAnnouncing) return;
    this.#isAnnouncing = true;
    for (let next = this.#announcements.shift(); next; next = this.#announcements.shift()) {
      for (const client of next.room.watchers) client.link?.send(next.frame);
    }
    this.#isAnnouncing = false;
  }
}

function mayResume({ secret }: Client, resume: string | boolean): boolean {
  return secret !== null && typeof resume === "string" && isSecret(secret, resume);
}
