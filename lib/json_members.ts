/**
 * Goes through the members of a JSON object (RFC 8259) and refuses what JSON.parse refuses, but makes no values: most of
 * a frame is nobody's business but its receiver's.
 */

import { MAX_UTF8_BYTES_PER_UNIT } from "./protocol.ts";

const QUOTE = 0x22;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const OPENING_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSING_BRACKET = 0x5d;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

/** Stands behind the text. It is no part of JSON, so nothing else has to look where the text ends. */
const END = 0;

/** By byte: whether it stands for itself in a string. */
const IS_PLAIN = tableOf((byte) => byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH);
/** By byte: whether it may follow a backslash. */
const IS_ESCAPE = tableOf((byte) => '"\\/bfnrtu'.includes(String.fromCharCode(byte)));

function tableOf(has: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => Number(has(byte)));
}

/** Room for all but unusual frames. */
const USUAL_BYTES = 64 * 1024;

/** Made once: it would cost more than all the rest. */
const NOT_JSON = new SyntaxError("not a JSON object");

const ENCODER = new TextEncoder();

export class JsonMembers {
  #text = "";
  /** The text in UTF-8, and {@link END}. Indexes of private members are into this. */
  #bytes = new Uint8Array(USUAL_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  /** Within the quotes of the member's name. */
  #nameFrom = 0;
  #nameTo = 0;
  /** What that name stands for, where it is written with escapes; else null. */
  #escapedName: string | null = null;
  /** After its value. */
  #end = 0;
  /** Closing brackets of what is open within a value, the innermost last. */
  readonly #closers: number[] = [];
  /** The byte up to which {@link JsonMembers.#toIndex} has counted, and where that is in the text. */
  #countedTo = 0;
  #countedUnits = 0;
  /** Index, like all that follow into the text, of the comma before the member; of the brace before the first one. */
  comma = 0;
  /** Of the quote that opens its name. */
  nameStart = 0;
  valueStart = 0;
  valueEnd = 0;

  /** Of the text, in UTF-8. */
  get bytes(): number {
    return this.#length;
  }

  /**
   * Goes to the first member of a text; false where it has none.
   *
   * @throws {SyntaxError} where it cannot be a JSON object
   */
  first(text: string): boolean {
    this.#makeRoomFor(text);
    this.#text = text;
    this.#length = ENCODER.encodeInto(text, this.#bytes).written;
    this.#bytes[this.#length] = END;
    this.#countedTo = 0;
    this.#countedUnits = 0;
    const brace = this.#skipSpace(0);
    if (this.#bytes[brace] !== OPENING_BRACE) throw NOT_JSON;
    this.comma = this.#toIndex(brace);
    const start = this.#skipSpace(brace + 1);
    return this.#bytes[start] === CLOSING_BRACE ? this.#finish(start) : this.#read(start);
  }

  /**
   * Goes to the next member; false where there is none, and all of the text is JSON.
   *
   * @throws {SyntaxError} where it is not
   */
  next(): boolean {
    const comma = this.#skipSpace(this.#end);
    if (this.#bytes[comma] !== COMMA) return this.#finish(comma);
    this.comma = this.#toIndex(comma);
    return this.#read(this.#skipSpace(comma + 1));
  }

  /** Where a text is longer than any before, the space grows, and stays. */
  #makeRoomFor(text: string): void {
    const bytes = MAX_UTF8_BYTES_PER_UNIT * text.length + Uint32Array.BYTES_PER_ELEMENT; // four are read at a time
    if (bytes <= this.#bytes.length) return;
    this.#bytes = new Uint8Array(Math.max(bytes, 2 * this.#bytes.length));
    this.#view = new DataView(this.#bytes.buffer);
  }

  #read(start: number): true {
    const nameEnd = this.#endOfString(start);
    const valueStart = this.#afterColon(nameEnd);
    this.#end = this.#endOfValue(valueStart);
    this.#nameFrom = start + 1;
    this.#nameTo = nameEnd - 1;
    this.nameStart = this.#toIndex(start);
    this.#escapedName = this.#hasBackslash(start, nameEnd)
      ? JSON.parse(this.#text.slice(this.nameStart, this.#toIndex(nameEnd)))
      : null;
    this.valueStart = this.#toIndex(valueStart);
    this.valueEnd = this.#toIndex(this.#end);
    return true;
  }

  /** Whether the member has this name of ASCII letters, however it is written. */
  isNamed(name: string): boolean {
    if (this.#escapedName !== null) return this.#escapedName === name;
    const start = this.#nameFrom;
    if (this.#nameTo - start !== name.length) return false;
    for (let index = 0; index < name.length; index++) {
      if (this.#bytes[start + index] !== name.charCodeAt(index)) return false;
    }
    return true;
  }

  #hasBackslash(start: number, end: number): boolean {
    for (let at = start; at < end; at++) if (this.#bytes[at] === BACKSLASH) return true;
    return false;
  }

  #finish(brace: number): false {
    const isWhole = this.#bytes[brace] === CLOSING_BRACE &&
      this.#skipSpace(brace + 1) === this.#length;
    if (!isWhole) throw NOT_JSON;
    return false;
  }

  /** Where a byte is in the text. To be asked from front to back: so each byte is counted once. */
  #toIndex(at: number): number {
    const isAscii = this.#length === this.#text.length;
    if (isAscii) return at;
    for (; this.#countedTo < at; this.#countedTo++) {
      const byte = this.#bytes[this.#countedTo]!;
      const isContinuation = (byte & 0xc0) === 0x80;
      if (!isContinuation) this.#countedUnits += byte < 0xf0 ? 1 : 2; // a surrogate pair
    }
    return this.#countedUnits;
  }

  #afterColon(nameEnd: number): number {
    const colon = this.#skipSpace(nameEnd);
    if (this.#bytes[colon] !== COLON) throw NOT_JSON;
    return this.#skipSpace(colon + 1);
  }

  /** Without a call for each level: no depth is too much. */
  #endOfValue(start: number): number {
    this.#closers.length = 0;
    let at = start;
    do {
      switch (this.#bytes[at]) {
        case OPENING_BRACE:
          at = this.#enter(at, CLOSING_BRACE);
          break;
        case OPENING_BRACKET:
          at = this.#enter(at, CLOSING_BRACKET);
          break;
        default:
          at = this.#leave(this.#endOfScalar(at));
      }
    } while (this.#closers.length > 0);
    return at;
  }

  /** From an opening bracket to the first value in it; where there is none, like {@link JsonMembers.#leave}. */
  #enter(bracket: number, closer: number): number {
    const at = this.#skipSpace(bracket + 1);
    if (this.#bytes[at] === closer) return this.#leave(at + 1);
    this.#closers.push(closer);
    return closer === CLOSING_BRACE ? this.#afterColon(this.#endOfString(at)) : at;
  }

  /** From the end of a value to the next one; where none is left in what was open, past that. */
  #leave(end: number): number {
    let at = end;
    while (this.#closers.length > 0) {
      at = this.#skipSpace(at);
      const closer = this.#closers.at(-1);
      const byte = this.#bytes[at++];
      if (byte === COMMA) {
        at = this.#skipSpace(at);
        return closer === CLOSING_BRACE ? this.#afterColon(this.#endOfString(at)) : at;
      }
      if (byte !== closer) throw NOT_JSON;
      this.#closers.pop();
    }
    return at;
  }

  #endOfScalar(start: number): number {
    switch (this.#bytes[start]) {
      case QUOTE:
        return this.#endOfString(start);
      case 0x74:
        return this.#endOfLiteral(start, "true");
      case 0x66:
        return this.#endOfLiteral(start, "false");
      case 0x6e:
        return this.#endOfLiteral(start, "null");
      default:
        return this.#endOfNumber(start);
    }
  }

  #endOfString(quote: number): number {
    const bytes = this.#bytes;
    const view = this.#view;
    if (bytes[quote] !== QUOTE) throw NOT_JSON;
    let at = quote + 1;
    while (true) {
      while (isPlain(view.getUint32(at))) at += 4;
      while (IS_PLAIN[bytes[at]!]) at++;
      if (bytes[at] === QUOTE) return at + 1;
      if (bytes[at] !== BACKSLASH) throw NOT_JSON;
      do at = this.#endOfEscape(at); while (bytes[at] === BACKSLASH);
    }
  }

  #endOfEscape(backslash: number): number {
    const byte = this.#bytes[backslash + 1]!;
    if (!IS_ESCAPE[byte]) throw NOT_JSON;
    return byte === 0x75 ? this.#endOfHex(backslash + 2) : backslash + 2;
  }

  /** Four digits. */
  #endOfHex(start: number): number {
    for (let at = start; at < start + 4; at++) {
      if (!isHexDigit(this.#bytes[at]!)) throw NOT_JSON;
    }
    return start + 4;
  }

  #endOfLiteral(start: number, literal: string): number {
    for (let index = 0; index < literal.length; index++) {
      if (this.#bytes[start + index] !== literal.charCodeAt(index)) throw NOT_JSON;
    }
    return start + literal.length;
  }

  #endOfNumber(start: number): number {
    const bytes = this.#bytes;
    let at = bytes[start] === MINUS ? start + 1 : start;
    at = bytes[at] === ZERO ? at + 1 : this.#endOfDigits(at);
    if (bytes[at] === POINT) at = this.#endOfDigits(at + 1);
    if (lowerCase(bytes[at]!) !== 0x65) return at;
    const sign = bytes[at + 1];
    return this.#endOfDigits(sign === PLUS || sign === MINUS ? at + 2 : at + 1);
  }

  /** At least one. */
  #endOfDigits(start: number): number {
    let at = start;
    while (isDigit(this.#bytes[at]!)) at++;
    if (at === start) throw NOT_JSON;
    return at;
  }

  #skipSpace(start: number): number {
    let at = start;
    while (isSpace(this.#bytes[at]!)) at++;
    return at;
  }
}

/**
 * Whether each of four bytes stands for itself in a string. A control character, a quote and a backslash leave the top bit
 * of their byte set in one of the differences, and so do bytes beyond ASCII, which are then looked at one by one.
 */
function isPlain(word: number): boolean {
  const differences = (word - 0x20202020) |
    ((word ^ 0x22222222) - 0x01010101) | // a quote becomes 0, and then borrows
    ((word ^ 0x5c5c5c5c) - 0x01010101) | // a backslash
    word;
  return (differences & 0x80808080) === 0;
}

function lowerCase(byte: number): number {
  return byte | 0x20;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}

function isHexDigit(byte: number): boolean {
  return isDigit(byte) || (lowerCase(byte) >= 0x61 && lowerCase(byte) <= 0x66);
}

/** JSON's four white-space characters (RFC 8259 section 2). */
function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
