/** Stores messages for clients that are not connected, for a short time and within bounds. */

import { Buffer } from "node:buffer";
import { type Clock, VariedDeadlines } from "../clock.ts";
import { MemoryBudget, memoryOf, networkOf } from "./capacity.ts";
import { clientKey, type Storage } from "./vocabulary.ts";

/** Upper bounds of the stored messages. */
export const MAILBOX_LIMITS = {
  messagesPerPair: 64,
  messagesPerTarget: 512,
  bytesPerTarget: 1024 * 1024,
  bytesInAll: 64 * 1024 * 1024,
  /** The part of `bytesInAll` that clients of one address may use. */
  bytesPerAddress: 4 * 1024 * 1024,
} as const;

/**
 * Memory that a stored message takes beside its strings, in bytes. Without it, empty messages to unknown IDs could fill
 * the memory. Measured: 530 for the first message to a target, 360 more for a disconnected sender.
 */
export const OVERHEAD_BYTES = 900;

/** The sender of a stored message. */
interface MailboxSender {
  readonly address: string;
}

/** A message in the mailbox. */
export interface StoredMessage<Sender> {
  readonly sender: Sender;
  readonly targetId: string;
  /** The text for the target. */
  readonly text: string;
  readonly storage?: Storage | undefined;
}

/** The share of its sender's budgets that a stored message takes. */
export interface Cost {
  readonly sender: MailboxSender;
  /** The network of the sender's address. */
  readonly network: string;
  /** The {@link clientKey} of the target. */
  readonly targetKey: string;
  readonly memoryBytes: number;
}

/** Returns the cost of a message whose strings take this number of bytes. */
export function costOf(sender: MailboxSender, targetKey: string, stringBytes: number): Cost {
  const network = networkOf(sender.address);
  return { sender, network, targetKey, memoryBytes: OVERHEAD_BYTES + stringBytes };
}

/** Limits the stored messages of each sender for one target, and the memory of each address and in all. */
class MailboxBudget {
  readonly #pairs = new Map<MailboxSender, Map<string, number>>();
  readonly #memory = new MemoryBudget(MAILBOX_LIMITS.bytesInAll, MAILBOX_LIMITS.bytesPerAddress);

  hasCapacityFor({ sender, network, targetKey, memoryBytes }: Cost): boolean {
    return (this.#pairs.get(sender)?.get(targetKey) ?? 0) < MAILBOX_LIMITS.messagesPerPair &&
      this.#memory.hasCapacityFor(network, memoryBytes);
  }

  /** Takes a cost (1) or gives it back (-1). */
  count({ sender, network, targetKey, memoryBytes }: Cost, sign: 1 | -1): void {
    const targets = this.#pairs.get(sender) ?? new Map<string, number>();
    this.#pairs.set(sender, targets);
    const count = (targets.get(targetKey) ?? 0) + sign;
    if (count > 0) targets.set(targetKey, count);
    else targets.delete(targetKey);
    if (targets.size === 0) this.#pairs.delete(sender);
    this.#memory.count(network, sign * memoryBytes);
  }
}

interface Box<Message> {
  readonly key: string;
  readonly room: string;
  readonly entries: Set<Entry<Message>>;
  bytes: number;
}

interface Entry<Message> {
  readonly message: Message;
  readonly box: Box<Message>;
  /** The text's size in UTF-8. */
  readonly bytes: number;
  readonly cost: Cost;
}

export class Mailbox<
  Sender extends MailboxSender,
  Message extends StoredMessage<Sender> = StoredMessage<Sender>,
> {
  readonly #boxes = new Map<string, Box<Message>>();
  /** The number of boxes of each room. */
  readonly #rooms = new Map<string, number>();
  readonly #ttlMs: number;
  readonly #deadlines: VariedDeadlines<Entry<Message>>;
  #budget = new MailboxBudget();

  /**
   * @param ttlMs the time for which a message is stored, in milliseconds
   * @param onExpired receives each message that was not taken in time
   */
  constructor(clock: Clock, ttlMs: number, onExpired: (message: Message) => void) {
    this.#ttlMs = ttlMs;
    this.#deadlines = new VariedDeadlines(clock, (entry) => {
      if (!entry.box.entries.has(entry)) return; // it has expired together with another one
      this.#remove(entry);
      this.#removeTogether(entry);
      onExpired(entry.message);
    });
  }

  /** The number of stored messages. */
  get size(): number {
    return this.#deadlines.size;
  }

  /** Returns whether messages are stored for a client. */
  has(room: string, targetId: string): boolean {
    return this.#boxes.has(clientKey(room, targetId));
  }

  /** Returns whether messages are stored for clients of a room. */
  hasStored(room: string): boolean {
    return this.#rooms.has(room);
  }

  /**
   * Stores a message for a client of a room; returns false if that would exceed a bound.
   *
   * @param ttlMs the time for which it is stored, in milliseconds
   */
  store(room: string, message: Message, ttlMs = this.#ttlFor(message)): boolean {
    const entry = this.#entryOf(room, message);
    const fits = this.#hasCapacityFor(entry);
    if (fits) this.#put(entry, ttlMs);
    else this.#removeTogether(entry);
    return fits;
  }

  #ttlFor({ storage }: Message): number {
    return Math.min(this.#ttlMs, storage?.maxTtlMs ?? Infinity);
  }

  #entryOf(room: string, message: Message): Entry<Message> {
    const { sender, targetId, text } = message;
    const key = clientKey(room, targetId);
    const box = this.#boxes.get(key) ?? { key, room, entries: new Set(), bytes: 0 };
    const bytes = Buffer.byteLength(text);
    const strings = memoryOf(text, bytes) + memoryOf(targetId) + memoryOf(key);
    return { message, box, bytes, cost: costOf(sender, key, strings) };
  }

  #hasCapacityFor({ box, bytes, cost }: Entry<Message>): boolean {
    return box.entries.size < MAILBOX_LIMITS.messagesPerTarget &&
      box.bytes + bytes <= MAILBOX_LIMITS.bytesPerTarget &&
      this.#budget.hasCapacityFor(cost);
  }

  #put(entry: Entry<Message>, ttlMs: number): void {
    const { box } = entry;
    if (box.entries.size === 0) {
      this.#boxes.set(box.key, box);
      this.#rooms.set(box.room, (this.#rooms.get(box.room) ?? 0) + 1);
    }
    box.entries.add(entry);
    box.bytes += entry.bytes;
    this.#budget.count(entry.cost, 1);
    this.#deadlines.add(entry, ttlMs);
  }

  /** Removes the messages that expire together with this one. */
  #removeTogether({ box, message: { sender, storage } }: Entry<Message>): void {
    if (storage?.expiresTogether !== true) return;
    for (const other of box.entries) {
      if (other.message.sender === sender) this.#takeOut(other);
    }
  }

  #takeOut(entry: Entry<Message>): void {
    this.#deadlines.delete(entry);
    this.#remove(entry);
  }

  /** Takes out the messages that are stored for a client, in order. */
  take(room: string, targetId: string): Message[] {
    const entries = [...this.#boxes.get(clientKey(room, targetId))?.entries ?? []];
    for (const entry of entries) this.#takeOut(entry);
    return entries.map(({ message }) => message);
  }

  /** Expires all messages, because no target can take them any more. */
  expireAll(): void {
    this.#deadlines.runAll();
  }

  /** Forgets all messages. */
  clear(): void {
    this.#deadlines.clear();
    this.#boxes.clear();
    this.#rooms.clear();
    this.#budget = new MailboxBudget();
  }

  #remove(entry: Entry<Message>): void {
    const { box } = entry;
    box.entries.delete(entry);
    box.bytes -= entry.bytes;
    this.#budget.count(entry.cost, -1);
    if (box.entries.size > 0) return;
    this.#boxes.delete(box.key);
    const boxes = this.#rooms.get(box.room)! - 1;
    if (boxes > 0) this.#rooms.set(box.room, boxes);
    else this.#rooms.delete(box.room);
  }
}
