/** Keeps messages for clients that are not connected, for a short time and within bounds. */

import { Buffer } from "node:buffer";
import { type Clock, Deadlines } from "../clock.ts";
import { clientKey } from "./vocabulary.ts";

/** Bounds of the mailbox. */
export const MAX_MESSAGES_PER_TARGET = 64;
export const MAX_BYTES_PER_TARGET = 256 * 1024;
export const MAX_BYTES_IN_ALL = 64 * 1024 * 1024;
/**
 * What a kept message costs beside its strings, with its sender, who may have left. It counts in all, or empty messages
 * to strangers would fill the memory. Measured: 430 for the first one to a target, 170 for others, 170 for a sender.
 */
export const OVERHEAD_BYTES = 600;

/** A message in the mailbox. */
export interface Kept<Sender> {
  readonly sender: Sender;
  readonly targetId: string;
  /** The frame as the target gets it. */
  readonly frame: string;
}

interface Box<Sender> {
  readonly key: string;
  readonly messages: Set<Entry<Sender>>;
  bytes: number;
}

interface Entry<Sender> extends Kept<Sender> {
  readonly box: Box<Sender>;
  /** Of its frame, in UTF-8. */
  readonly bytes: number;
  /** What all of it takes in memory. */
  readonly memoryBytes: number;
}

/** What became of a message that was to be kept. */
export type Keeping = "kept" | "full" | "off";

export class Mailbox<Sender> {
  readonly #ttlMs: number;
  readonly #boxes = new Map<string, Box<Sender>>();
  readonly #deadlines: Deadlines<Entry<Sender>>;
  #memoryBytes = 0;

  /**
   * @param ttlMs how long a message is kept, in milliseconds; 0: not at all
   * @param onExpired is told of each message for which nobody came
   */
  constructor(clock: Clock, ttlMs: number, onExpired: (message: Kept<Sender>) => void) {
    this.#ttlMs = ttlMs;
    this.#deadlines = new Deadlines(clock, ttlMs, (entry) => {
      this.#remove(entry);
      onExpired(entry);
    });
  }

  /** How many messages it holds. */
  get size(): number {
    return this.#deadlines.size;
  }

  /** Keeps a message for a client of a room. */
  keep(room: string, message: Kept<Sender>): Keeping {
    if (this.#ttlMs === 0) return "off";
    const entry = this.#entry(room, message);
    const { box, bytes, memoryBytes } = entry;
    if (box.messages.size >= MAX_MESSAGES_PER_TARGET) return "full";
    if (box.bytes + bytes > MAX_BYTES_PER_TARGET) return "full";
    if (this.#memoryBytes + memoryBytes > MAX_BYTES_IN_ALL) return "full";
    this.#put(entry);
    return "kept";
  }

  /** Keeps the report of a message that was kept before, whatever the bounds: it was within them, and is small. */
  keepReport(room: string, report: Kept<Sender>): void {
    if (this.#ttlMs > 0) this.#put(this.#entry(room, report));
  }

  #entry(room: string, message: Kept<Sender>): Entry<Sender> {
    const { sender, targetId, frame } = message;
    const key = clientKey(room, targetId);
    const box = this.#boxes.get(key) ?? { key, messages: new Set(), bytes: 0 };
    const bytes = Buffer.byteLength(frame);
    const memoryBytes = OVERHEAD_BYTES + memoryOf(frame, bytes) + memoryOf(targetId) +
      memoryOf(key);
    return { sender, targetId, frame, box, bytes, memoryBytes };
  }

  #put(entry: Entry<Sender>): void {
    const { box, bytes, memoryBytes } = entry;
    this.#boxes.set(box.key, box);
    box.messages.add(entry);
    box.bytes += bytes;
    this.#memoryBytes += memoryBytes;
    this.#deadlines.add(entry);
  }

  /** Takes out, in order, what is kept for a client. */
  take(room: string, targetId: string): Kept<Sender>[] {
    const box = this.#boxes.get(clientKey(room, targetId));
    if (box === undefined) return [];
    const messages = [...box.messages];
    for (const entry of messages) {
      this.#deadlines.delete(entry);
      this.#remove(entry);
    }
    return messages;
  }

  /** Ends the time of all messages: nobody will come for them here. */
  giveUp(): void {
    this.#deadlines.runAll();
  }

  /** Forgets all messages. */
  clear(): void {
    this.#deadlines.clear();
    this.#boxes.clear();
    this.#memoryBytes = 0;
  }

  #remove(entry: Entry<Sender>): void {
    const { box, bytes, memoryBytes } = entry;
    box.messages.delete(entry);
    box.bytes -= bytes;
    this.#memoryBytes -= memoryBytes;
    if (box.messages.size === 0) this.#boxes.delete(box.key);
  }
}

/** A string takes one byte for each character, but two where one of them is beyond Latin-1: as here for all but ASCII. */
function memoryOf(text: string, utf8Bytes = Buffer.byteLength(text)): number {
  return utf8Bytes === text.length ? text.length : 2 * text.length;
}
