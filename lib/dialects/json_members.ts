/**
 * Goes through the members of a JSON object (RFC 8259) and refuses what JSON.parse refuses, but makes no values: most of a
 * frame is nobody's business but its receiver's. What looks at every character is WebAssembly.
 */

import { findMembers, memory, textAt } from "./wasm/members.wasm";

/** A member that matters. */
export type Name = "type" | "target_id" | "from";

/** By the numbers that WebAssembly has for them. */
const NAMES: readonly (Name | null)[] = [null, "type", "target_id", "from"];
/** A name that is written with escapes, and may be any. */
const HAS_ESCAPES = 4;
/** What WebAssembly notes of a member: its number, and five places. */
const NOTED = 6;

const PAGE_BYTES = 64 * 1024;
/** What WebAssembly needs for a text, by its length; and so much more. */
const BYTES_PER_UNIT = 6;
const MARGIN_BYTES = 64;

const ENCODER = new TextEncoder();

/** One text at a time, however many of these there are: WebAssembly has one memory. */
export class JsonMembers {
  #text = "";
  #room = new Uint8Array(memory.buffer, textAt());
  #notes = new Int32Array(memory.buffer);
  /** Where the next one is noted. */
  #note = 0;
  /** Of the text, in UTF-8. */
  bytes = 0;
  /** The member that {@link JsonMembers.next} went to last. */
  name: Name = "type";
  /** Where in the text it is: the comma before it, or the brace before the first one. */
  comma = 0;
  /** The quote that opens its name. */
  nameStart = 0;
  valueStart = 0;
  valueEnd = 0;

  /**
   * Begins with a text, and has gone through all of it.
   *
   * @throws {WebAssembly.RuntimeError} where it is not a JSON object
   */
  begin(text: string): void {
    this.#makeRoomFor(text);
    this.#text = text;
    this.bytes = ENCODER.encodeInto(text, this.#room).written;
    this.#note = findMembers(this.bytes, text.length) / Int32Array.BYTES_PER_ELEMENT;
  }

  /** Where a text is longer than any before, the memory grows, and stays. */
  #makeRoomFor(text: string): void {
    const lackingBytes = BYTES_PER_UNIT * text.length + MARGIN_BYTES - memory.buffer.byteLength;
    if (lackingBytes <= 0) return;
    memory.grow(Math.ceil(lackingBytes / PAGE_BYTES));
    this.#room = new Uint8Array(memory.buffer, textAt());
    this.#notes = new Int32Array(memory.buffer);
  }

  /** Goes to the next member that matters; false where there is none. */
  next(): boolean {
    while (true) {
      const notes = this.#notes;
      const note = this.#note;
      const number = notes[note]!;
      if (number === 0) return false;
      this.#note += NOTED;
      this.comma = notes[note + 1]!;
      this.nameStart = notes[note + 2]!;
      this.valueStart = notes[note + 4]!;
      this.valueEnd = notes[note + 5]!;
      const name = number === HAS_ESCAPES
        ? nameOf(this.#text.slice(this.nameStart, notes[note + 3]))
        : NAMES[number]!;
      if (name !== null) {
        this.name = name;
        return true;
      }
    }
  }
}

function nameOf(quoted: string): Name | null {
  const name = JSON.parse(quoted);
  return NAMES.includes(name) ? name : null;
}
