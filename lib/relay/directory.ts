/** Assigns IDs to connections, and handles messages whose target is not connected to this node. */

import type { Clock } from "../clock.ts";
import type { Emit } from "../events.ts";
import { Mailbox, type StoredMessage } from "./mailbox.ts";
import type { Router } from "./router.ts";
import { isSecret, newSecret, type Session } from "./session.ts";
import {
  describe,
  type ErrorCode,
  type ErrorNotice,
  isClientId,
  type Message,
  type Notice,
  ProtocolError,
  type Registration,
} from "./vocabulary.ts";

/** The rights that a registration was granted. */
export interface Claim {
  /** True if it resumes an earlier session. */
  readonly resumed: boolean;
  /** The resume secret from now on; null without a resume. */
  readonly secret: string | null;
}

/** A session that has been attached to its new connection. */
interface Attachment {
  readonly session: Session;
  /** Sends the client its `registered` notice. */
  notifyRegistered(): void;
}

/**
 * Attaches the connection that claimed an ID; returns null if it has ended meanwhile.
 *
 * @throws {ProtocolError} `server_full`
 */
export type Attach = (claim: Claim) => Attachment | null;

/** The effect of a second registration of a connected ID. */
type DuplicateRule = "replace" | "reject";

export interface DirectoryOptions {
  readonly onDuplicate: DuplicateRule;
  /** Time for which messages to clients that are not connected are stored, in milliseconds; 0 stores none. */
  readonly mailboxTtlMs: number;
  /** Time for which the ID of a lost connection is held, in milliseconds; 0 holds none. */
  readonly resumeTtlMs: number;
}

/** The IDs of one node ({@link LocalDirectory}), or of a cluster. */
export interface Directory {
  /**
   * Assigns an ID to a connection with `attach`, and delivers the messages that are stored for the ID.
   *
   * @param ownsId true if a token proves that the ID is the client's own
   * @throws {ProtocolError} `id_taken`, `id_held`, and what `attach` throws
   */
  claim(registration: Registration, ownsId: boolean, attach: Attach): void | Promise<void>;
  /** Called when a session has lost its connection and its ID is held. */
  detached(session: Session): void;
  /** Called when a session has ended. */
  ended(session: Session): void;
  /** Lists the IDs of a room on all nodes. */
  idsIn(room: string): Iterable<string>;
  /** Lists the IDs of a room, even if this node has no session in it. A node without Redis lists the IDs that it knows. */
  listIds(room: string): Promise<readonly string[]>;
  /** Returns the number of IDs in a room. */
  sizeOf(room: string): number;
  /** Sends a message to the target's node or stores it, and notifies the sender if it can do neither. */
  forward(from: Session, targetId: string, message: Message): void;
  /** Sends a message to the members of the sender's room on other nodes. */
  broadcast(from: Session, message: Message): void;
  /** Starts or stops receiving what other nodes publish on a topic. */
  watchTopic(key: string, isWatched: boolean): void;
  /** Sends a text to the subscribers of a topic on other nodes. */
  publish(key: string, text: string): void;
  /** Stores a notice for a session that is not connected here, if its client may resume. */
  storeNotice(session: Session, notice: Notice): void;
  /** The number of messages of this node's clients that are stored. */
  readonly stored: number;
  /** Expires all stored messages, and notifies their senders while they are still connected. */
  expireStored(): void | Promise<void>;
  /** Returns null, or a promise that resolves once messages need not wait any more. */
  pauseAt(nowMs: number): Promise<void> | null;
  stop(): void | Promise<void>;
}

/**
 * Decides a claim by the sessions of this node.
 *
 * @param existing the session that has the ID
 * @param heldForMs returns for how long the ID of a detached `existing` is still held
 * @throws {ProtocolError} `id_taken` or `id_held`
 */
export function decideClaim(
  existing: Session | undefined,
  { clientId, resume, ownSecret }: Registration,
  ownsId: boolean,
  { onDuplicate, resumeTtlMs }: DirectoryOptions,
  heldForMs: () => number,
): Claim {
  const given = ownSecret ?? resume;
  if (existing?.secret && typeof given === "string" && isSecret(existing.secret, given)) {
    return { resumed: true, secret: existing.secret };
  }
  if (existing !== undefined && !mayReplace(existing, ownsId, onDuplicate)) {
    throw existing.connection === null ? idHeld(clientId, heldForMs()) : idTaken(clientId);
  }
  const wantsSecret = resume !== false && resumeTtlMs > 0;
  return { resumed: false, secret: ownSecret ?? (wantsSecret ? newSecret() : null) };
}

function mayReplace({ secret }: Session, ownsId: boolean, onDuplicate: DuplicateRule): boolean {
  return secret === null ? onDuplicate === "replace" : ownsId;
}

export function idTaken(clientId: string): ProtocolError {
  const message = `The ID ${describe(clientId)} is connected: ` +
    "use another one, or register with its resume secret.";
  return new ProtocolError("id_taken", message);
}

export function idHeld(clientId: string, retryAfterMs: number): ProtocolError {
  const message =
    `The ID ${describe(clientId)} is held for the client whose connection was lost: ` +
    `register with its resume secret, or again in ${Math.ceil(retryAfterMs / 1000)} s.`;
  return new ProtocolError("id_held", message, Math.ceil(retryAfterMs));
}

/** Returns the error notice for a message that was not delivered. */
export function undelivered(code: ErrorCode, targetId: string): ErrorNotice {
  return { kind: "error", code, message: reasonOf(code, describe(targetId)), targetId };
}

function reasonOf(code: ErrorCode, target: string): string {
  if (code === "target_not_found") return `No client ${target} is connected.`;
  if (code === "mailbox_full") {
    return `The mailbox of ${target} is full: send less until it is connected.`;
  }
  return `Client ${target} is not on this node, and the others cannot be reached: send it again later.`;
}

export class LocalDirectory implements Directory {
  readonly #options: DirectoryOptions;
  readonly #router: Router;
  readonly #emit: Emit;
  readonly #mailbox: Mailbox<Session>;
  #isOff: boolean;

  constructor(options: DirectoryOptions, router: Router, clock: Clock, emit: Emit) {
    this.#options = options;
    this.#router = router;
    this.#emit = emit;
    this.#isOff = options.mailboxTtlMs === 0;
    this.#mailbox = new Mailbox(clock, options.mailboxTtlMs, (message) => this.#expire(message));
  }

  claim(registration: Registration, ownsId: boolean, attach: Attach): void {
    const { clientId, room } = registration;
    const existing = this.#router.find(room, clientId);
    const heldForMs = () => this.#router.heldForMs(existing!);
    const claim = decideClaim(existing, registration, ownsId, this.#options, heldForMs);
    const attachment = attach(claim);
    if (attachment === null) return;
    if (!claim.resumed) {
      if (existing !== undefined) this.#router.announce(room, "left", clientId);
      this.#router.announce(room, "joined", clientId);
    }
    attachment.notifyRegistered();
    this.#deliverStored(attachment.session);
  }

  #deliverStored(session: Session): void {
    const failed = new Set<Session>();
    for (const message of this.#mailbox.take(session.room.name, session.id)) {
      const { sender, text, storage } = message;
      if (session.connection?.send(text)) {
        this.#emit({ kind: "stored_delivered", client: session });
        continue;
      }
      if (!storage?.expiresTogether || !failed.has(sender)) this.#expire(message);
      failed.add(sender);
    }
    for (const notice of session.pendingNotices.splice(0)) this.#router.notify(session, notice);
  }

  detached(): void {}

  ended({ room, id }: Session): void {
    this.#router.announce(room.name, "left", id);
  }

  idsIn(room: string): Iterable<string> {
    return this.#router.room(room)?.sessions.keys() ?? [];
  }

  listIds(room: string): Promise<readonly string[]> {
    return Promise.resolve([...this.idsIn(room)]);
  }

  sizeOf(room: string): number {
    return this.#router.room(room)?.sessions.size ?? 0;
  }

  forward(from: Session, targetId: string, message: Message): void {
    if (message.storage?.maxTtlMs === 0) return;
    const isStorable = !this.#isOff && isClientId(targetId);
    if (!isStorable) return this.#router.fail(from, undelivered("target_not_found", targetId));
    const { text, storage } = message;
    if (this.#mailbox.store(from.room.name, { sender: from, targetId, text, storage })) {
      this.#emit({ kind: "stored", from, targetId, message });
    } else {
      this.#router.fail(from, undelivered("mailbox_full", targetId));
    }
  }

  #expire({ sender, targetId }: StoredMessage<Session>): void {
    this.#router.fail(sender, undelivered("target_not_found", targetId));
  }

  broadcast(): void {}
  watchTopic(): void {}
  publish(): void {}

  storeNotice(session: Session, notice: Notice): void {
    const isDetached = this.#router.find(session.room.name, session.id) === session;
    if (isDetached) session.pendingNotices.push(notice);
  }

  get stored(): number {
    return this.#mailbox.size;
  }

  expireStored(): void {
    this.#isOff = true;
    this.#mailbox.expireAll();
  }

  pauseAt(): null {
    return null;
  }

  stop(): void {
    this.#mailbox.clear();
  }
}
