/** What comes over Redis's channels: a header of JSON, a line feed, and a frame as its sender wrote it. */

import { isClientId, type Storage } from "../relay/vocabulary.ts";

/** Nodes that speak another version are not understood, and are ignored. */
export const VERSION = 3;

/** What was kept and what goes to all has a number before it, and nothing else has: so one can tell which was sent first. */
interface Numbered {
  /** 0 comes before all others. */
  readonly number?: number;
}

/** A client, and the node from which it has sent something. */
export interface Sender {
  readonly node: string;
  readonly id: string;
}

/** A message for a client of the receiving node. */
export interface DirectMessage extends Numbered {
  readonly kind: "message";
  readonly room: string;
  readonly targetId: string;
  readonly frame: string;
  /** Who sent it, for the report should it not arrive; null for what the server itself says. */
  readonly sender: Sender | null;
  readonly storage?: Storage;
}

/** A message for all clients of a room but its sender. */
export interface BroadcastMessage extends Numbered {
  readonly kind: "broadcast";
  /** The node that has delivered it to its own clients. */
  readonly node: string;
  readonly frame: string;
}

/** A newer connection, on another node, has taken an ID over. */
export interface ReplacedMessage {
  readonly kind: "replaced";
  readonly room: string;
  readonly id: string;
  readonly claim: number;
}

/**
 * A message of the receiving node's client was sent to another node, which has just lost the target: it is kept, as if it
 * had not been sent yet.
 */
export interface ReturnedMessage {
  readonly kind: "returned";
  readonly messageId: string;
  readonly room: string;
  readonly targetId: string;
  readonly senderId: string;
  readonly bytes: number;
  /** How long it is stored, in milliseconds. */
  readonly ttlMs: number;
  readonly expiresTogether: boolean;
}

/** Somebody has come for a message that was kept for the receiving node: it is no longer this node's affair. */
export interface FetchedMessage {
  readonly kind: "fetched";
  readonly messageId: string;
}

/** What a question of the receiving node has led to. */
export interface AnswerMessage {
  readonly kind: "answer";
  readonly question: number;
  readonly status: (typeof STATUSES)[number];
  /** Of the claim, where it was one that succeeded. */
  readonly claim: number;
  /** By Redis's clock, in milliseconds since 1970. */
  readonly claimedAtMs: number;
  /** The members of the room, where they were asked for. */
  readonly ids: readonly string[];
  /** What was kept for the ID, in order: numbered messages, unread. */
  readonly mail: readonly string[];
}

/** Somebody has come to a room, or gone from it. */
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

/** Writes a message, without a number. Those that are not here are written by scripts. */
export function writeMessage(message: DirectMessage | BroadcastMessage): string {
  if (message.kind === "broadcast") {
    return withFrame({ v: VERSION, k: "broadcast", n: message.node }, message.frame);
  }
  const { room, targetId, sender, frame, storage } = message;
  const from = sender && { n: sender.node, id: sender.id };
  const rule = storage && { t: storage.maxTtlMs, e: storage.expiresTogether }; // JSON has null for Infinity
  return withFrame({ v: VERSION, k: "message", r: room, id: targetId, f: from, ...rule }, frame);
}

function withFrame(header: unknown, frame: string): string {
  return `${JSON.stringify(header)}\n${frame}`;
}

/** Reads a message; null where it is of another version, or not a message at all. */
export function readMessage(text: string): BusMessage | null {
  const [digits = ""] = /^\d{1,15} /.exec(text) ?? [];
  const numbered = digits === "" ? {} : { number: Number(digits) };
  const lineFeed = text.indexOf("\n");
  const header = readHeader(text.slice(digits.length, lineFeed === -1 ? undefined : lineFeed));
  if (header === null || header.v !== VERSION) return null;
  const { k: kind, r: room, id, c: claim, m: messageId, n: node } = header;
  const frame = lineFeed === -1 ? null : text.slice(lineFeed + 1);
  switch (kind) {
    case "message": {
      const sender = readSender(header.f);
      if (!isRoom(room) || !isClientId(id) || sender === undefined || frame === null) return null;
      return { kind, ...numbered, room, targetId: id, frame, sender, ...readStorage(header) };
    }
    case "broadcast":
      return isString(node) && frame !== null ? { kind, ...numbered, node, frame } : null;
    case "replaced":
      return isRoom(room) && isClientId(id) && isCount(claim) ? { kind, room, id, claim } : null;
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
  const { q: question, s, c: claim = 0, t: claimedAtMs = 0 } = header;
  const { e: ids = [], w: mail = [] } = header;
  const status = STATUSES.find((status) => status === s);
  if (status === undefined || !isCount(question) || !isCount(claim) || !isCount(claimedAtMs)) {
    return null;
  }
  if (!isArrayOf(ids, isClientId) || !isArrayOf(mail, isString)) return null;
  return { kind: "answer", question, status, claim, claimedAtMs, ids, mail };
}

/** The namespace of a dialect begins with a control character. */
function isRoom(value: unknown): value is string {
  return isString(value) && (value === "" || isClientId(value.replace(/^\u0001/, "")));
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
