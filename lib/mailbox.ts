/** Keeps messages for clients that are not connected, for a short time and within bounds. */

import { Buffer } from "node:buffer";
import { type Clock, Deadlines } from "./clock.ts";

/** Bounds of the mailbox. */
export const MAX_MESSAGES_PER_TARGET = 64;
export const MAX_BYTES_PER_TARGET = 256 * 1024;
export const MAX_BYTES_IN_ALL = 64 * 1024 * 1024;
/** What a kept message costs beside its text. It counts in all, or empty messages to strangers would fill the memory. */
const OVERHEAD_BYTES = 512;

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
  readonly bytes: number;
}

/** What became of a message that was to be kept. */
export type Keeping = "kept" | "full" | "off";

export class Mailbox<Sender> {
  readonly #ttlMs: number;
  readonly #boxes = new Map<string, Box<Sender>>();
  readonly #deadlines: Deadlines<Entry<Sender>>;
  #bytes = 0;

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
  keep(room: string, { sender, targetId, frame }: Kept<Sender>): Keeping {
    if (this.#ttlMs === 0) return "off";
    const key = boxKey(room, targetId);
    const box = this.#boxes.get(key) ?? { key, messages: new Set(), bytes: 0 };
    const bytes = Buffer.byteLength(frame);
    if (box.messages.size >= MAX_MESSAGES_PER_TARGET) return "full";
    if (box.bytes + bytes > MAX_BYTES_PER_TARGET) return "full";
    if (this.#bytes + bytes + OVERHEAD_BYTES > MAX_BYTES_IN_ALL) return "full";
    const entry = { sender, targetId, frame, box, bytes };
    this.#boxes.set(key, box);
    box.messages.add(entry);
    box.bytes += bytes;
    this.#bytes += bytes + OVERHEAD_BYTES;
    this.#deadlines.add(entry);
    return "kept";
  }

  /** Takes out, in order, what is kept for a client. */
  take(room: string, targetId: string): Kept<Sender>[] {
    const box = this.#boxes.get(boxKey(room, targetId));
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
    this.#bytes = 0;
  }

  #remove(entry: Entry<Sender>): void {
    const { box, bytes } = entry;
    box.messages.delete(entry);
    box.bytes -= bytes;
    this.#bytes -= bytes + OVERHEAD_BYTES;
    if (box.messages.size === 0) this.#boxes.delete(box.key);
  }
}

/** Neither a room's name nor an ID has control characters. */
function boxKey(room: string, targetId: string): string {
  return `${room}\0${targetId}`;
}
