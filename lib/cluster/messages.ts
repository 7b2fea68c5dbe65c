/** Reads and writes the messages between nodes: a header of JSON, a line feed, and a client's message. */

import { isClientId, type Storage } from "../relay/vocabulary.ts";

/** Version of the format. Messages of other versions are ignored. */
export const VERSION = 3;

/** The number of a stored message or a broadcast, which shows which one was sent first. No other message has one. */
interface Numbered {
  /** The place in the order; 0 comes before all others. */
  readonly number?: number;
}

/** A client, and the node from which it sends. */
export interface Sender {
  readonly node: string;
  readonly id: string;
}

/** A message for a client of the receiving node. */
export interface DirectMessage extends Numbered {
  readonly kind: "message";
  readonly room: string;
  readonly targetId: string;
  readonly text: string;
  /** The client to notify if the message cannot be delivered; null for a notice. */
  readonly sender: Sender | null;
  readonly storage?: Storage;
}

/** A message for all clients of a room but its sender. */
export interface BroadcastMessage extends Numbered {
  readonly kind: "broadcast";
  /** The node that has delivered it to its own clients. */
  readonly node: string;
  readonly text: string;
}

/** A newer connection on another node has an ID. */
export interface ReplacedMessage {
  readonly kind: "replaced";
  readonly room: string;
  readonly id: string;
  readonly epoch: number;
}

/**
 * Another node has returned a message of the receiving node's client, as the target has just disconnected. Redis stores
 * it.
 */
export interface ReturnedMessage {
  readonly kind: "returned";
  readonly messageId: string;
  readonly room: string;
  readonly targetId: string;
  readonly senderId: string;
  readonly bytes: number;
  /** The time for which it is stored, in milliseconds. */
  readonly ttlMs: number;
  readonly expiresTogether: boolean;
}

/** The target of a message that was stored for the receiving node has fetched it. */
export interface FetchedMessage {
  readonly kind: "fetched";
  readonly messageId: string;
}

/** The answer to a request of the receiving node. */
export interface AnswerMessage {
  readonly kind: "answer";
  readonly requestId: number;
  readonly status: (typeof STATUSES)[number];
  /** The epoch of the registration; 0 if there is none. */
  readonly epoch: number;
  /** The time of the claim by Redis's clock, in milliseconds since 1970. */
  readonly claimedAtMs: number;
  /** The members of the room, if the request asked for them. */
  readonly ids: readonly string[];
  /** The messages that were stored for the ID, in order, as {@link readMessage} takes them. */
  readonly mail: readonly string[];
}

/** A client has joined or left a room. */
export interface MembershipMessage {
  readonly kind: "join" | "leave";
  readonly id: string;
}

export type BusMessage =
  | DirectMessage
  | BroadcastMessage
  | ReplacedMessage
  | ReturnedMessage
  | FetchedMessage
  | AnswerMessage
  | MembershipMessage;

const STATUSES = ["ok", "resumed", "taken", "held", "lost"] as const;

/** Writes a message, without a number. Scripts write the other kinds. */
export function writeMessage(message: DirectMessage | BroadcastMessage): string {
  if (message.kind === "broadcast") {
    return withText({ v: VERSION, k: "broadcast", n: message.node }, message.text);
  }
  const { room, targetId, sender, text, storage } = message;
  const from = sender && { n: sender.node, id: sender.id };
  const rule = storage && { t: storage.maxTtlMs, e: storage.expiresTogether }; // JSON has null for Infinity
  return withText({ v: VERSION, k: "message", r: room, id: targetId, f: from, ...rule }, text);
}

function withText(header: unknown, text: string): string {
  return `${JSON.stringify(header)}\n${text}`;
}

/** Reads a message; null if it is malformed or of another version. */
export function readMessage(written: string): BusMessage | null {
  const [digits = ""] = /^\d{1,15} /.exec(written) ?? [];
  const numbered = digits === "" ? {} : { number: Number(digits) };
  const lineFeed = written.indexOf("\n");
  const header = readHeader(written.slice(digits.length, lineFeed === -1 ? undefined : lineFeed));
  if (header === null || header.v !== VERSION) return null;
  const { k: kind, r: room, id, c: epoch, m: messageId, n: node } = header;
  const text = lineFeed === -1 ? null : written.slice(lineFeed + 1);
  switch (kind) {
    case "message": {
      const sender = readSender(header.f);
      if (!isRoom(room) || !isClientId(id) || sender === undefined || text === null) return null;
      return { kind, ...numbered, room, targetId: id, text, sender, ...readStorage(header) };
    }
    case "broadcast":
      return isString(node) && text !== null ? { kind, ...numbered, node, text } : null;
    case "replaced":
      return isRoom(room) && isClientId(id) && isCount(epoch) ? { kind, room, id, epoch } : null;
    case "fetched":
      return isString(messageId) ? { kind, messageId } : null;
    case "returned":
      return readReturned(header);
    case "answer":
      return readAnswer(header);
    case "join":
    case "leave":
      return isClientId(id) ? { kind, id } : null;
    default:
      return null;
  }
}

function readHeader(text: string): Record<string, unknown> | null {
  try {
    const header: unknown = JSON.parse(text);
    return typeof header === "object" && header !== null ? { ...header } : null;
  } catch {
    return null;
  }
}

function readSender(value: unknown): Sender | null | undefined {
  if (value === null) return null;
  if (typeof value !== "object") return undefined;
  const { n: node, id } = value as Record<string, unknown>;
  return isString(node) && isClientId(id) ? { node, id } : undefined;
}

function readStorage({ t: maxTtlMs, e }: Record<string, unknown>): { storage?: Storage } {
  if (maxTtlMs !== null && !isCount(maxTtlMs)) return {};
  return { storage: { maxTtlMs: maxTtlMs ?? Infinity, expiresTogether: e === true } };
}

function readReturned(header: Record<string, unknown>): ReturnedMessage | null {
  const { m: messageId, r: room, id: targetId, f: senderId, b: bytes, t: ttlMs, e } = header;
  const isComplete = isString(messageId) && isRoom(room) && isClientId(targetId) &&
    isClientId(senderId) && isCount(bytes) && isCount(ttlMs);
  if (!isComplete) return null;
  const expiresTogether = e === true;
  return { kind: "returned", messageId, room, targetId, senderId, bytes, ttlMs, expiresTogether };
}

function readAnswer(header: Record<string, unknown>): AnswerMessage | null {
  const { q: requestId, s, c: epoch = 0, t: claimedAtMs = 0 } = header;
  const { e: ids = [], w: mail = [] } = header;
  const status = STATUSES.find((status) => status === s);
  if (status === undefined || !isCount(requestId) || !isCount(epoch) || !isCount(claimedAtMs)) {
    return null;
  }
  if (!isArrayOf(ids, isClientId) || !isArrayOf(mail, isString)) return null;
  return { kind: "answer", requestId, status, epoch, claimedAtMs, ids, mail };
}

/** Accepts a dialect's namespace too, which begins with a control character. */
function isRoom(value: unknown): value is string {
  return isString(value) &&
    (value === "" || isClientId(value.startsWith("\u0001") ? value.slice(1) : value));
}

function isArrayOf<Item>(value: unknown, isItem: (item: unknown) => item is Item): value is Item[] {
  return Array.isArray(value) && value.every(isItem);
}

function isString(value: unknown): value is string {
  return typeof value === "string";
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && value as number >= 0;
}
