/** Reads and writes messages between nodes: JSON from scripts; from nodes, a JSON header, a line feed, and texts. */

import { isClientId } from "../relay/vocabulary.ts";

/** Version of the format. Nodes ignore messages of other versions. */
export const VERSION = 4;

/** The owner of an ID: the node, and the epoch of the registration. */
export interface Owner {
  readonly node: string;
  readonly epoch: number;
  /** True while the ID is held for a resume. */
  readonly isHeld: boolean;
}

/** A change of owner in a room. */
export interface ChangeMessage {
  readonly kind: "joined" | "resumed" | "held" | "left";
  readonly id: string;
  readonly node: string;
  readonly epoch: number;
}

/** The response of a script to a request of this node. */
export interface ResponseMessage {
  readonly kind: "response";
  readonly requestId: number;
  readonly status: (typeof STATUSES)[number];
  /** The room and the ID of a granted claim; `""` otherwise. */
  readonly room: string;
  readonly id: string;
  /** The epoch of the registration; 0 if there is none. */
  readonly epoch: number;
  /** The time of the claim by Redis' clock, in milliseconds since 1970. */
  readonly claimedAtMs: number;
  /** True if a newer registration at another node has resumed the session. */
  readonly hasMoved: boolean;
  /** The members of the room, if the request asked for them. */
  readonly members: readonly (readonly [id: string, owner: Owner])[];
  /** The cursor of the next members; `"0"` after the last ones. */
  readonly cursor: string;
}

/** A notification that a node has left in good order, or is dead. */
interface NodeEndMessage {
  readonly kind: "node_left" | "node_dead";
  readonly node: string;
}

export type ScriptMessage = ChangeMessage | ResponseMessage | NodeEndMessage;

/**
 * The kind of a packet: a client's message, a broadcast for one client, a notice, or a request or response between nodes. A
 * node requests a response once no older message for a client waits at the other node.
 */
export type PacketKind = "message" | "broadcast" | "notice" | "request" | "response";

/** A message, notice or request from one node to another, about one client. */
export interface Packet {
  readonly kind: PacketKind;
  readonly room: string;
  readonly targetId: string;
  /** The epoch of the target's registration at the receiving node. */
  readonly epoch: number;
  readonly senderId: string;
  /** The place among all messages and broadcasts of the sending node. */
  readonly order: number;
  readonly text: string;
}

/** A numbered packet. Numbers rise from one packet to the next between the same two nodes. */
export interface Numbered {
  readonly number: number;
  /** The highest number whose return the sending node had handled before it sent the packet. */
  readonly handledReturn: number;
  readonly packet: Packet;
}

/** A publication of one node on the channel of another, see link.ts. */
export interface Publication {
  readonly node: string;
  /** The last number that the sending node has received from the receiving one; -1 before the first. */
  readonly received: number;
  /** Numbers up to `received` of packets that the sending node returns. */
  readonly returned: readonly number[];
  /** True if the sending node has missed packets after `received`. */
  readonly hasGap: boolean;
  /** The highest number whose return the sending node has handled. */
  readonly handledReturn: number;
  /** The highest number that the receiving node has acknowledged; it need not wait for lower ones. */
  readonly acknowledged: number;
  /** The number before the first packet. */
  readonly previous: number;
  /** The deadline of a delivery by Redis' clock, in milliseconds since 1970. */
  readonly deadlineMs: number;
  readonly packets: readonly Numbered[];
}

/** A message for all clients of a room but its sender. */
export interface Broadcast {
  /** The sender's node, which has delivered it to its own clients. */
  readonly node: string;
  readonly senderId: string;
  /** See {@link Packet.order}. */
  readonly order: number;
  /** See {@link Publication.deadlineMs}. */
  readonly deadlineMs: number;
  /** The highest epoch in the room that the node had seen. */
  readonly seenEpoch: number;
  /** The number of the last packet to each node that has unacknowledged ones. */
  readonly after: Readonly<Record<string, number>>;
  /** Clients that get it as a packet, after older messages. */
  readonly except: readonly string[];
  readonly text: string;
}

const STATUSES = ["ok", "resumed", "taken", "held", "lost", "large"] as const;
const CHANGES = ["joined", "resumed", "held", "left"] as const;
/** The kinds of packets; the index of each is its code. */
const KINDS: readonly PacketKind[] = ["message", "broadcast", "notice", "request", "response"];
/** Separator of fields, which neither rooms nor IDs contain. */
const SEPARATOR = "\0";

export function writePublication(publication: Publication): string {
  const { node, received, returned, hasGap, packets } = publication;
  const { handledReturn, acknowledged, previous, deadlineMs } = publication;
  const numbers = [handledReturn, acknowledged, previous, deadlineMs];
  let text = JSON.stringify([VERSION, node, received, returned, hasGap ? 1 : 0, ...numbers]);
  for (const { number, handledReturn, packet } of packets) {
    const { kind, room, targetId, epoch, senderId, order, text: body } = packet;
    const ids = [room, targetId, senderId];
    const fields = [KINDS.indexOf(kind), number, handledReturn, epoch, order, body.length, ...ids];
    text += `\n${fields.join(SEPARATOR)}\n${body}`;
  }
  return text;
}

/** Reads a publication; null if it is malformed or of another version. */
export function readPublication(written: string): Publication | null {
  const end = endOfLine(written, 0);
  const header = readJson(written.slice(0, end));
  if (!Array.isArray(header) || header[0] !== VERSION) return null;
  const [, node, received, returned, gap, ...numbers] = header;
  const [handledReturn, acknowledged, previous, deadlineMs] = numbers;
  const isValid = isString(node) && Number.isSafeInteger(received) &&
    isArrayOf(returned, isCount) && numbers.length === 4 && numbers.every(isCount);
  const packets = isValid ? readPackets(written, end + 1) : null;
  if (packets === null) return null;
  const counts = { handledReturn, acknowledged, previous, deadlineMs };
  return { node, received, returned, hasGap: gap === 1, ...counts, packets };
}

function readPackets(written: string, start: number): Numbered[] | null {
  const packets: Numbered[] = [];
  for (let at = start; at < written.length;) {
    const end = endOfLine(written, at);
    const fields = written.slice(at, end).split(SEPARATOR);
    const [code, number, handledReturn, epoch, order, length] = fields.slice(0, 6).map(Number);
    const [room, targetId, senderId] = fields.slice(6);
    const kind = KINDS[code!];
    const isValid = kind !== undefined && isCount(number) && isRoom(room) && isClientId(targetId) &&
      isCount(handledReturn) && isCount(epoch) && isCount(order) && isClientId(senderId) &&
      isCount(length) &&
      end + 1 + length <= written.length;
    if (!isValid) return null;
    const text = written.slice(end + 1, end + 1 + length);
    const packet = { kind, room, targetId, epoch, senderId, order, text };
    packets.push({ number, handledReturn, packet });
    at = end + 1 + length + 1;
  }
  return packets;
}

export function writeBroadcast(broadcast: Broadcast): string {
  const { node, senderId, order, deadlineMs, seenEpoch, after, except, text } = broadcast;
  const header = [VERSION, node, senderId, order, deadlineMs, seenEpoch, after, except];
  return `${JSON.stringify(header)}\n${text}`;
}

/** Reads a broadcast; null if it is malformed or of another version. */
export function readBroadcast(written: string): Broadcast | null {
  const end = endOfLine(written, 0);
  const header = readJson(written.slice(0, end));
  if (!Array.isArray(header) || header[0] !== VERSION || end === written.length) return null;
  const [, node, senderId, order, deadlineMs, seenEpoch, after, except] = header;
  const isValid = isString(node) && isClientId(senderId) && isCount(order) &&
    isCount(deadlineMs) && isCount(seenEpoch) &&
    typeof after === "object" && after !== null && Object.values(after).every(isCount) &&
    isArrayOf(except, isString);
  if (!isValid) return null;
  const text = written.slice(end + 1);
  return { node, senderId, order, deadlineMs, seenEpoch, after, except, text };
}

/** Reads a message of a script; null if it is malformed or of another version. */
export function readScriptMessage(written: string): ScriptMessage | null {
  const header = readJson(written);
  if (typeof header !== "object" || header === null) return null;
  const { v: version, k: kind, id, n: node, c } = header as Record<string, unknown>;
  if (version !== VERSION) return null;
  if (kind === "response") return readResponse(header as Record<string, unknown>);
  if (kind === "node_left" || kind === "node_dead") return isString(node) ? { kind, node } : null;
  const change = CHANGES.find((change) => change === kind);
  const epoch = Number(c);
  if (change === undefined || !isClientId(id) || !isString(node) || !isCount(epoch)) return null;
  return { kind: change, id, node, epoch };
}

function readResponse(header: Record<string, unknown>): ResponseMessage | null {
  const { q: requestId, s, r: room = "", id = "", c = 0, t: claimedAtMs = 0 } = header;
  const { m, e: members = [], x: cursor = "0" } = header;
  const epoch = Number(c);
  const status = STATUSES.find((status) => status === s);
  const isValid = status !== undefined && isCount(requestId) && isString(room) && isString(id) &&
    isCount(epoch) && isCount(claimedAtMs) && isArrayOf(members, isString) && isString(cursor);
  if (!isValid) return null;
  const rest = { claimedAtMs, hasMoved: m === true, members: readMembers(members), cursor };
  return { kind: "response", requestId, status, room, id, epoch, ...rest };
}

/** Reads alternating IDs and records. */
function readMembers(fields: readonly string[]): [string, Owner][] {
  const members: [string, Owner][] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [node = "", epoch, , held] = fields[at + 1]!.split(" ");
    members.push([fields[at]!, { node, epoch: Number(epoch), isHeld: held !== "0" }]);
  }
  return members;
}

function endOfLine(text: string, start: number): number {
  const end = text.indexOf("\n", start);
  return end === -1 ? text.length : end;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Returns whether a value is a room, or the namespace of a dialect, which begins with a control character. */
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
