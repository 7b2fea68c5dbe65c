/** What nodes say to each other: a header of JSON, a line feed, and a frame as its sender wrote it. */

import { isClientId } from "../protocol.ts";

/** Nodes that speak another version are not understood, and are ignored. */
export const VERSION = 1;

/** A message for a client of the receiving node. */
export interface DirectMessage {
  readonly kind: "message";
  readonly room: string;
  readonly targetId: string;
  readonly frame: string;
  /** Who sent it, for the report should it not arrive; null for what the server itself says. */
  readonly sender:
    | { readonly node: string; readonly id: string; readonly messageId: string }
    | null;
}

/** A message for all clients of a room but its sender. */
export interface BroadcastMessage {
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

/** A kept message of the receiving node's client has been delivered. */
export interface ReceiptMessage {
  readonly kind: "receipt";
  readonly messageId: string;
}

/** Somebody has come to a room, gone from it, or moved to another connection. */
export interface MembershipMessage {
  readonly kind: "join" | "leave" | "move";
  readonly id: string;
  /** Numbers of later events are higher. */
  readonly number: number;
}

export type BusMessage =
  | DirectMessage
  | BroadcastMessage
  | ReplacedMessage
  | ReceiptMessage
  | MembershipMessage;

/** Writes a message. Those that are not here are written by scripts. */
export function writeMessage(message: DirectMessage | BroadcastMessage | ReceiptMessage): string {
  switch (message.kind) {
    case "message": {
      const { room, targetId, sender, frame } = message;
      const from = sender && { n: sender.node, id: sender.id, m: sender.messageId };
      return withFrame({ v: VERSION, k: "message", r: room, id: targetId, f: from }, frame);
    }
    case "broadcast":
      return withFrame({ v: VERSION, k: "broadcast", n: message.node }, message.frame);
    case "receipt":
      return JSON.stringify({ v: VERSION, k: "receipt", m: message.messageId });
  }
}

function withFrame(header: unknown, frame: string): string {
  return `${JSON.stringify(header)}\n${frame}`;
}

/** Reads a message; null where it is of another version, or not a message at all. */
export function readMessage(text: string): BusMessage | null {
  const lineFeed = text.indexOf("\n");
  const header = readHeader(lineFeed === -1 ? text : text.slice(0, lineFeed));
  if (header === null || header.v !== VERSION) return null;
  const frame = lineFeed === -1 ? "" : text.slice(lineFeed + 1);
  const { k: kind, r: room, id, c: claim, m: messageId, n: node, q: number } = header;
  switch (kind) {
    case "message": {
      const sender = readSender(header.f);
      if (!isRoom(room) || !isClientId(id) || sender === undefined) return null;
      return { kind, room, targetId: id, frame, sender };
    }
    case "broadcast":
      return typeof node === "string" ? { kind, node, frame } : null;
    case "replaced":
      if (!isRoom(room) || !isClientId(id) || typeof claim !== "number") return null;
      return { kind, room, id, claim };
    case "receipt":
      return typeof messageId === "string" ? { kind, messageId } : null;
    case "join":
    case "leave":
    case "move":
      return isClientId(id) && typeof number === "number" ? { kind, id, number } : null;
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

function readSender(value: unknown): DirectMessage["sender"] | undefined {
  if (value === null) return null;
  if (typeof value !== "object" || value === undefined) return undefined;
  const { n: node, id, m: messageId } = value as Record<string, unknown>;
  const isComplete = typeof node === "string" && isClientId(id) && typeof messageId === "string";
  return isComplete ? { node, id, messageId } : undefined;
}

function isRoom(value: unknown): value is string {
  return value === "" || isClientId(value);
}
