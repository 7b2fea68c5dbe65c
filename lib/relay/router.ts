/** Who is connected under which ID in which room, and the way of a frame from one client to another or to all. */

import { type Clock, Deadlines } from "../clock.ts";
import { fromMember } from "../dialects/envelope.ts";
import type { ClientInfo, Emit } from "../events.ts";
import { type Keeping, type Kept, Mailbox } from "./mailbox.ts";
import { Presence } from "./presence.ts";
import { errorFrame, isClientId, type Registration, targetNotFound } from "./vocabulary.ts";
import { isSecret, newSecret } from "./resume.ts";

/** What the router needs of a connection. */
export interface Link {
  /** Where it comes from: an IP address. */
  readonly address: string;
  /** Whether there is still somebody to serve. */
  readonly isServed: boolean;
  /** It has got its ID, and serves this client from now on. */
  entered(client: Client): void;
  /** Sends a frame; false where the connection can take none any more. */
  send(frame: string): boolean;
  /** A newer connection has registered this one's ID. */
  replaced(): void;
}

/** A namespace of IDs. */
class Room {
  readonly clients = new Map<string, Client>();
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
  readonly dialect = null;

  constructor(readonly id: string, readonly room: Room) {
    this.from = fromMember(id);
  }

  get roomName(): string {
    return this.room.name;
  }
}

/** The right of a connection to an ID. */
export interface Claim {
  /** Whether it takes back what it had before. */
  readonly resumed: boolean;
  /** With what it can take it back; null where it did not ask for that. */
  readonly secret: string | null;
}

/** What a registration has led to. */
export interface Registered {
  readonly client: Client;
  /** Whether it took back what it had before. */
  readonly resumed: boolean;
}

/** What became of a frame for one client. */
export type Delivery = "sent" | "unavailable" | Keeping;

/** The other nodes of a cluster, as a router sees them. */
export interface OtherNodes {
  /** The IDs of all clients of a room, on whatever node. */
  idsIn(room: string): Iterable<string>;
  /** How many clients a room has in all. */
  sizeOf(room: string): number;
  /** Sends a frame to a client that is not connected here, or keeps it. */
  send(from: Client, targetId: string, frame: string): Promise<Delivery>;
  /** Sends a frame to all clients of the sender's room on other nodes. */
  broadcast(from: Client, frame: string): void;
  /** Tells a client something that is not connected here, if it may come back. */
  tell(client: Client, frame: string): void;
  /** A client of this node has lost its connection, and its ID is held. */
  held(client: Client): void;
  /** A client of this node is gone. Those who watch its room hear of it from all nodes at once. */
  left(client: Client): void;
}

/** What a second registration of a connected ID does. */
export type DuplicateRule = "replace" | "reject";

export interface RouterOptions {
  readonly onDuplicate: DuplicateRule;
  /** How long messages for clients that are not connected are kept, in milliseconds; 0: not at all. */
  readonly mailboxTtlMs: number;
  /** How long the ID of a lost connection is held, in milliseconds; 0: not at all. */
  readonly resumeTtlMs: number;
}

/** Stands for the sender of what a client is to hear when it comes back. */
class Report {
  constructor(readonly to: Client) {}
}

export class Router {
  readonly #options: RouterOptions;
  readonly #emit: Emit;
  readonly #rooms = new Map<string, Room>();
  readonly #held: Deadlines<Client>;
  readonly #mailbox: Mailbox<Client | Report>;
  readonly #presence: Presence;
  #size = 0;
  /** Null where this node serves alone. */
  otherNodes: OtherNodes | null = null;

  constructor(options: RouterOptions, clock: Clock, emit: Emit) {
    this.#options = options;
    this.#emit = emit;
    this.#held = new Deadlines(clock, options.resumeTtlMs, (client) => this.#remove(client));
    this.#mailbox = new Mailbox(clock, options.mailboxTtlMs, (message) => this.#expired(message));
    this.#presence = new Presence(clock);
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
    const { clientId, room, resume } = registration;
    const existing = this.find(room, clientId);
    const resumed = existing !== undefined && mayResume(existing, resume);
    if (existing !== undefined && !resumed && !this.#mayReplace(existing, ownsId)) return null;
    const secret = resumed ? existing.secret : this.#newSecret(resume);
    return { client: this.enter(registration, link, { resumed, secret }), resumed };
  }

  /** Puts a connection into the place to which it has a right. */
  enter({ clientId, room, presence }: Registration, link: Link, claim: Claim): Client {
    const client = this.find(room, clientId) ?? this.#join(room, clientId);
    client.secret = claim.secret;
    this.#connect(client, link);
    this.setPresence(client, presence);
    this.#emit({ kind: "registered", client });
    return client;
  }

  /** A client of this node, connected or held. */
  find(room: string, id: string): Client | undefined {
    return this.#rooms.get(room)?.clients.get(id);
  }

  /** This node's clients in a room, connected or held. */
  clientsIn(room: string): Iterable<Client> {
    return this.#rooms.get(room)?.clients.values() ?? [];
  }

  /** Whether this node has clients in a room. */
  hasRoom(name: string): boolean {
    return this.#rooms.has(name);
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
    link.entered(client);
    older?.replaced();
  }

  #join(roomName: string, id: string): Client {
    const room = this.#rooms.get(roomName) ?? new Room(roomName);
    const client = new Client(id, room);
    room.clients.set(id, client);
    this.#rooms.set(roomName, room);
    this.#size++;
    if (this.otherNodes === null) this.announce(room.name, "peer_joined", id);
    return client;
  }

  /** Whether a client is told who comes and goes. */
  setPresence(client: Client, wanted: boolean): void {
    if (wanted) this.#presence.watch(client);
    else this.#presence.unwatch(client);
  }

  /** The IDs of the others in a client's room, those that are held among them. */
  peersOf({ id: own, room }: Client): string[] {
    const ids = this.otherNodes?.idsIn(room.name) ?? room.clients.keys();
    return [...ids].filter((id) => id !== own);
  }

  /** Sends a client what was kept for it. */
  deliverKept(client: Client): void {
    for (const message of this.#mailbox.take(client.room.name, client.id)) {
      const { sender, frame } = message;
      if (sender instanceof Report && sender.to !== client) continue; // an older client's
      if (!client.link?.send(frame)) this.#expired(message);
      else if (!(sender instanceof Report)) this.#emit({ kind: "stored_delivered", client });
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
    this.#presence.unwatch(client);
    this.#held.add(client);
    this.#emit({ kind: "detached", client });
    this.otherNodes?.held(client);
  }

  /** A client that belongs to a newer connection on another node. */
  evict(client: Client): void {
    const { link } = client;
    this.#held.delete(client);
    this.#remove(client);
    link?.replaced();
  }

  #remove(client: Client): void {
    const { room } = client;
    client.link = null;
    this.#presence.unwatch(client);
    room.clients.delete(client.id);
    if (room.clients.size === 0) this.#rooms.delete(room.name);
    this.#size--;
    this.#emit({ kind: "unregistered", client, reason: null });
    if (this.otherNodes !== null) this.otherNodes.left(client);
    else this.announce(room.name, "peer_left", client.id);
  }

  /** Sends a frame to one client of the sender's room, or keeps it. Asks nobody where the target is connected here. */
  send(from: Client, targetId: string, frame: string): Delivery | Promise<Delivery> {
    this.settle(from.room.name, from.id);
    const target = from.room.clients.get(targetId);
    if (target?.link?.send(frame)) return "sent";
    if (!isClientId(targetId)) return "off"; // nobody can ever come for it
    if (this.otherNodes !== null) return this.otherNodes.send(from, targetId, frame);
    return this.#mailbox.keep(from.room.name, { sender: from, targetId, frame });
  }

  /** Nobody will come for what is kept: its senders are told, while they are still connected. */
  giveUpKept(): void {
    this.#mailbox.giveUp();
  }

  /** Nothing falls due any more. */
  stop(): void {
    this.#held.clear();
    this.#mailbox.clear();
    this.#presence.stop();
  }

  /** Nobody came for a message: its sender is told, if need be when it comes back. */
  #expired({ sender, targetId, frame }: Kept<Client | Report>): void {
    if (sender instanceof Report) return this.tell(sender.to, frame); // it may be held for longer
    this.#emit({ kind: "error_sent", code: "target_not_found", subject: sender });
    this.tell(sender, errorFrame("target_not_found", targetNotFound(targetId), targetId));
  }

  /** Tells a client something, if need be when it comes back. */
  tell(client: Client, frame: string): void {
    if (client.link?.send(frame)) return;
    if (this.otherNodes !== null) return this.otherNodes.tell(client, frame);
    const { id, room } = client;
    const isHeld = room.clients.get(id) === client;
    if (isHeld) {
      this.#mailbox.keepReport(room.name, { sender: new Report(client), targetId: id, frame });
    }
  }

  /** To how many a broadcast of this client would go. */
  recipients(from: Client): number {
    return (this.otherNodes?.sizeOf(from.room.name) ?? from.room.clients.size) - 1;
  }

  /** Sends a frame to all others in the sender's room, and tells to how many. */
  broadcast(from: Client, frame: string): number {
    const { room } = from;
    this.settle(room.name, from.id);
    let here = 0;
    for (const client of room.clients.values()) {
      if (client !== from && client.link?.send(frame)) here++;
    }
    if (this.otherNodes === null) return here;
    this.otherNodes.broadcast(from, frame);
    return here + Math.max(0, this.otherNodes.sizeOf(room.name) - room.clients.size);
  }

  /** Before anything that a client has sent is delivered: those who watch its room know that it is there. */
  settle(room: string, id: string): void {
    this.#presence.settle(room, id);
  }

  /** Tells those who watch a room of another who has come or gone. */
  announce(room: string, change: "peer_joined" | "peer_left", id: string): void {
    if (change === "peer_joined") this.#presence.joined(room, id);
    else this.#presence.left(room, id);
  }
}

function mayResume({ secret }: Client, resume: string | boolean): boolean {
  return secret !== null && typeof resume === "string" && isSecret(secret, resume);
}
