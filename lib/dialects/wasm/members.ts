// @ts-nocheck: this is AssemblyScript, TypeScript's syntax for WebAssembly. `deno task wasm` makes members.wasm of it.
/**
 * Goes through the members of a JSON object (RFC 8259), for lib/json_members.ts. It refuses what JSON.parse refuses, by a
 * trap, but makes no values.
 *
 * Places are addresses in the memory: there is the text in UTF-8, then the brackets that are open in it, then the members
 * that were found.
 */

const TEXT: usize = 8;
/** Stands behind the text. It is no part of JSON, so nothing else has to look where the text ends. */
const END: u8 = 0;
/** So much is read at once, also at the end of the text. */
const WORD_BYTES: usize = 8;
/** A note of a member: its name, and where in the text's UTF-16 are its comma and begin and end of name and value. */
const NOTE_BYTES: usize = 24;

const QUOTE: u8 = 0x22;
const PLUS: u8 = 0x2b;
const COMMA: u8 = 0x2c;
const MINUS: u8 = 0x2d;
const POINT: u8 = 0x2e;
const ZERO: u8 = 0x30;
const COLON: u8 = 0x3a;
const OPENING_BRACKET: u8 = 0x5b;
const BACKSLASH: u8 = 0x5c;
const CLOSING_BRACKET: u8 = 0x5d;
const SMALL_E: u8 = 0x65;
const SMALL_U: u8 = 0x75;
const OPENING_BRACE: u8 = 0x7b;
const CLOSING_BRACE: u8 = 0x7d;

/** Words as a little-endian load sees them. */
const TRUE: u32 = 0x65757274;
const ALSE: u32 = 0x65736c61;
const NULL: u32 = 0x6c6c756e;
const TYPE: u32 = 0x65707974;
const FROM: u32 = 0x6d6f7266;
const TARGET_I: u64 = 0x695f746567726174;
const SMALL_D: u8 = 0x64;

// Names that matter.
const NONE: i32 = 0;
const IS_TYPE: i32 = 1;
const IS_TARGET_ID: i32 = 2;
const IS_FROM: i32 = 3;
/** It may be any of them. */
const HAS_ESCAPES: i32 = 4;
const IS_OTHER: i32 = 5;

let textEnd: usize = 0;
let isAscii = false;
/** Where the next note goes. */
let noteAt: usize = 0;
/** The comma before the next member; the brace before the first one. */
let comma: usize = 0;
/** Where the next member begins; the closing brace behind the last one. */
let at: usize = 0;
/** Up to where UTF-16 code units have been counted, and how many there are. */
let countedTo: usize = 0;
let countedUnits: i32 = 0;

/** Where the text is to be put. */
export function textAt(): usize {
  return TEXT;
}

/**
 * Finds the members whose names matter. Returns where they are noted; behind the last one stands NONE. The memory has to have
 * 64 bytes, and six for each UTF-16 code unit: a character of ASCII may need one, one more as a bracket that is open, and a
 * share in a note, as a member has at least seven of them; any other up to three, and as many where brackets could stand.
 */
export function findMembers(bytes: i32, units: i32): usize {
  textEnd = TEXT + bytes;
  store<u8>(textEnd, END);
  isAscii = bytes === units;
  countedTo = TEXT;
  countedUnits = 0;
  const notes = (textEnd + WORD_BYTES + bytes + 3) & ~3; // a multiple of four
  noteAt = notes;
  comma = skipSpace(TEXT);
  if (load<u8>(comma) !== OPENING_BRACE) unreachable();
  at = skipSpace(comma + 1);
  if (load<u8>(at) !== CLOSING_BRACE) { while (readMember()); }
  if (load<u8>(at) !== CLOSING_BRACE || skipSpace(at + 1) !== textEnd) unreachable();
  store<i32>(noteAt, NONE);
  return notes;
}

/** Whether another one follows. */
function readMember(): bool {
  const nameStart = at;
  const nameEnd = endOfString(nameStart);
  const valueStart = afterColon(nameEnd);
  const valueEnd = endOfValue(valueStart);
  const name = nameBetween(nameStart + 1, nameEnd - 1);
  if (name !== IS_OTHER) {
    store<i32>(noteAt, name);
    store<i32>(noteAt + 4, unitsTo(comma));
    store<i32>(noteAt + 8, unitsTo(nameStart));
    store<i32>(noteAt + 12, unitsTo(nameEnd));
    store<i32>(noteAt + 16, unitsTo(valueStart));
    store<i32>(noteAt + 20, unitsTo(valueEnd));
    noteAt += NOTE_BYTES;
  }
  at = skipSpace(valueEnd);
  if (load<u8>(at) !== COMMA) return false;
  comma = at;
  at = skipSpace(at + 1);
  return true;
}

function nameBetween(start: usize, end: usize): i32 {
  const length = end - start;
  if (length === 4) {
    const word = load<u32>(start);
    if (word === TYPE) return IS_TYPE;
    if (word === FROM) return IS_FROM;
  } else if (length === 9) {
    if (load<u64>(start) === TARGET_I && load<u8>(start + 8) === SMALL_D) return IS_TARGET_ID;
  }
  for (let place = start; place < end; place++) {
    if (load<u8>(place) === BACKSLASH) return HAS_ESCAPES;
  }
  return IS_OTHER;
}

/** How many UTF-16 code units are before a place. To be asked from front to back: so each byte is counted once. */
function unitsTo(place: usize): i32 {
  if (isAscii) return i32(place - TEXT);
  for (; countedTo < place; countedTo++) {
    const byte = load<u8>(countedTo);
    const isContinuation = (byte & 0xc0) === 0x80;
    if (!isContinuation) countedUnits += byte < 0xf0 ? 1 : 2; // a surrogate pair
  }
  return countedUnits;
}

function afterColon(nameEnd: usize): usize {
  const colon = skipSpace(nameEnd);
  if (load<u8>(colon) !== COLON) unreachable();
  return skipSpace(colon + 1);
}

/** Without a call for each level: no depth is too much. What is open stands behind the text, as its closing brackets. */
function endOfValue(start: usize): usize {
  const outermost = textEnd + WORD_BYTES;
  let open = outermost;
  let place = start;
  while (true) {
    const byte = load<u8>(place);
    if (byte === OPENING_BRACE || byte === OPENING_BRACKET) {
      const closer = byte === OPENING_BRACE ? CLOSING_BRACE : CLOSING_BRACKET;
      place = skipSpace(place + 1);
      if (load<u8>(place) !== closer) {
        store<u8>(open++, closer);
        if (closer === CLOSING_BRACE) place = afterName(place);
        continue;
      }
      place++;
    } else {
      place = endOfScalar(place);
    }
    // A value has ended: on to the next one, out of all that ends with it.
    while (true) {
      if (open === outermost) return place;
      const closer = load<u8>(open - 1);
      place = skipSpace(place);
      if (load<u8>(place) === COMMA) {
        place = skipSpace(place + 1);
        if (closer === CLOSING_BRACE) place = afterName(place);
        break;
      }
      if (load<u8>(place) !== closer) unreachable();
      place++;
      open--;
    }
  }
}

function afterName(start: usize): usize {
  return afterColon(endOfString(start));
}

function endOfScalar(start: usize): usize {
  switch (load<u8>(start)) {
    case QUOTE:
      return endOfString(start);
    case 0x74:
      return endOfWord(start, TRUE);
    case 0x66:
      return endOfWord(start + 1, ALSE);
    case 0x6e:
      return endOfWord(start, NULL);
    default:
      return endOfNumber(start);
  }
}

function endOfWord(start: usize, word: u32): usize {
  if (load<u32>(start) !== word) unreachable();
  return start + 4;
}

function endOfString(start: usize): usize {
  if (load<u8>(start) !== QUOTE) unreachable();
  let place = start + 1;
  while (true) {
    const special = specialBytes(load<u64>(place));
    if (special === 0) {
      place += WORD_BYTES;
      continue;
    }
    place += usize(ctz(special)) >> 3;
    if (load<u8>(place) === QUOTE) return place + 1;
    do place = endOfEscape(place); while (load<u8>(place) === BACKSLASH);
  }
}

/**
 * The top bit of each byte that does not stand for itself in a string: of control characters, quotes and backslashes. Only
 * the first one found is certain: from the bytes behind it, something may have been borrowed.
 */
function specialBytes(word: u64): u64 {
  const control = word - 0x2020202020202020;
  const quote = (word ^ 0x2222222222222222) - 0x0101010101010101;
  const backslash = (word ^ 0x5c5c5c5c5c5c5c5c) - 0x0101010101010101;
  return (control | quote | backslash) & ~word & 0x8080808080808080;
}

function endOfEscape(start: usize): usize {
  if (load<u8>(start) !== BACKSLASH) unreachable(); // a control character
  switch (load<u8>(start + 1)) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f: // a slash, and b, f, n, r, t
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return start + 2;
    case SMALL_U:
      for (let place = start + 2; place < start + 6; place++) {
        if (!isHexDigit(load<u8>(place))) unreachable();
      }
      return start + 6;
    default:
      return unreachable();
  }
}

function endOfNumber(start: usize): usize {
  let place = load<u8>(start) === MINUS ? start + 1 : start;
  place = load<u8>(place) === ZERO ? place + 1 : endOfDigits(place);
  if (load<u8>(place) === POINT) place = endOfDigits(place + 1);
  if (lowerCase(load<u8>(place)) !== SMALL_E) return place;
  const sign = load<u8>(place + 1);
  return endOfDigits(sign === PLUS || sign === MINUS ? place + 2 : place + 1);
}

/** At least one. */
function endOfDigits(start: usize): usize {
  let place = start;
  while (isDigit(load<u8>(place))) place++;
  if (place === start) unreachable();
  return place;
}

/** JSON's four white-space characters. */
function skipSpace(start: usize): usize {
  let place = start;
  let byte = load<u8>(place);
  while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = load<u8>(++place);
  return place;
}

function lowerCase(byte: u8): u8 {
  return byte | 0x20;
}

function isDigit(byte: u8): bool {
  return byte - ZERO < 10;
}

function isHexDigit(byte: u8): bool {
  return isDigit(byte) || (lowerCase(byte) >= 0x61 && lowerCase(byte) <= 0x66);
}
