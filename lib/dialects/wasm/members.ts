// @ts-nocheck: this is AssemblyScript, TypeScript's syntax for WebAssembly. `deno task wasm` compiles it to members.wasm.
/**
 * Finds the members with given names in a JSON object (RFC 8259), for lib/dialects/members.ts. Accepts and refuses the same
 * texts as JSON.parse, but creates no values.
 *
 * A place is an address in the memory. The memory holds the table of names, the text in UTF-8, the open brackets of the
 * text, and the notes of the members.
 */

const NAMES: usize = 8;
const TEXT: usize = 256;
/** Byte that marks the end of the text. Valid JSON does not contain it. */
const END: u8 = 0;
/** Bytes that are read at once, at the end of the text too. */
const WORD_BYTES: usize = 8;
/** Size of a member's note: the number of its name, and the UTF-16 positions of its comma, its name and its value's ends. */
const NOTE_BYTES: usize = 20;

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

/** Marks the end of the notes. The names in the table have the numbers from 1 on. */
const NO_NAME: i32 = 0;

let textEnd: usize = 0;
let isAscii = false;
/** The place of the next note. */
let noteAt: usize = 0;
/** The comma before the next member; the brace before the first one. */
let comma: usize = 0;
/** The start of the next member; the closing brace after the last one. */
let at: usize = 0;
/** UTF-16 code units are counted up to here. */
let countedTo: usize = 0;
let countedUnits: i32 = 0;
let failure: i32 = 0;

/** The place of the table of names: for each a byte with its length, then its characters; a zero at the end. */
export function namesAt(): usize {
  return NAMES;
}

/** The place of the text. */
export function textAt(): usize {
  return TEXT;
}

/** The position at which {@link findMembers} trapped, in UTF-16 code units; -1 if the text is JSON. */
export function failedAt(): i32 {
  return failure;
}

/**
 * Finds the members whose names are in the table. Returns the place of their notes, or 0 for JSON that is not an object.
 * Traps if the text is not JSON.
 *
 * The memory must have 320 bytes, and 6 for each UTF-16 code unit. An ASCII character takes one byte, another one if it is
 * an open bracket, and its share of a note: a member has at least 6 characters. Any other character takes at most three
 * bytes for each unit, and as many in the space for open brackets.
 */
export function findMembers(bytes: i32, units: i32): usize {
  textEnd = TEXT + bytes;
  store<u8>(textEnd, END);
  isAscii = bytes === units;
  countedTo = TEXT;
  countedUnits = 0;
  failure = -1;
  const notes = (textEnd + WORD_BYTES + bytes + 3) & ~3; // a multiple of four
  noteAt = notes;
  comma = skipSpace(TEXT);
  const isObject = load<u8>(comma) === OPENING_BRACE;
  const end = isObject ? endOfMembers() : endOfValue(comma);
  const rest = skipSpace(end);
  if (rest !== textEnd) fail(rest);
  store<i32>(noteAt, NO_NAME);
  return isObject ? notes : 0;
}

function endOfMembers(): usize {
  at = skipSpace(comma + 1);
  if (load<u8>(at) !== CLOSING_BRACE) { while (readMember()); }
  return endOfCharacter(at, CLOSING_BRACE);
}

/** Returns whether another member follows. */
function readMember(): bool {
  const nameStart = at;
  const nameEnd = endOfString(nameStart);
  const valueStart = afterColon(nameEnd);
  const valueEnd = endOfValue(valueStart);
  const name = numberOf(nameStart + 1, nameEnd - 1);
  if (name !== NO_NAME) {
    store<i32>(noteAt, name);
    store<i32>(noteAt + 4, unitsTo(comma));
    store<i32>(noteAt + 8, unitsTo(nameStart));
    store<i32>(noteAt + 12, unitsTo(valueStart));
    store<i32>(noteAt + 16, unitsTo(valueEnd));
    noteAt += NOTE_BYTES;
  }
  at = skipSpace(valueEnd);
  if (load<u8>(at) !== COMMA) return false;
  comma = at;
  at = skipSpace(at + 1);
  return true;
}

/** Returns the number of a name in the table. */
function numberOf(start: usize, end: usize): i32 {
  let entry = NAMES;
  let number = 1;
  for (let length = load<u8>(entry); length > 0; length = load<u8>(entry)) {
    if (isName(entry + 1, length, start, end)) return number;
    entry += 1 + length;
    number++;
  }
  return NO_NAME;
}

/** Compares a name in the table with one in the text, which may have escapes. */
function isName(entry: usize, length: usize, start: usize, end: usize): bool {
  let place = start;
  for (const entryEnd = entry + length; entry < entryEnd; entry++) {
    const byte = load<u8>(entry);
    if (load<u8>(place) === byte) {
      place++;
    } else {
      if (load<u8>(place) !== BACKSLASH || unitOfEscape(place) !== byte) return false;
      place += 6;
    }
  }
  return place === end; // the quote at the end is in no name of the table
}

/** Returns the code unit of a `\u` escape; 0 for any other escape, which stands for no character in the table. */
function unitOfEscape(start: usize): u32 {
  if (load<u8>(start + 1) !== SMALL_U) return 0;
  let unit: u32 = 0;
  for (let place = start + 2; place < start + 6; place++) {
    const digit = load<u8>(place);
    unit = unit << 4 | (isDigit(digit) ? digit - ZERO : lowerCase(digit) - 0x57);
  }
  return unit;
}

/** Counts the UTF-16 code units before a place. Calls go from front to back and count each byte once. */
function unitsTo(place: usize): i32 {
  if (isAscii) return i32(place - TEXT);
  for (; countedTo + WORD_BYTES <= place; countedTo += WORD_BYTES) {
    countedUnits += unitsIn(load<u64>(countedTo));
  }
  for (; countedTo < place; countedTo++) countedUnits += unitsIn(load<u8>(countedTo)) - 7;
  return countedUnits;
}

/** Counts one for each byte, but none for a continuation byte, and two for the first of four (a surrogate pair). */
function unitsIn(word: u64): i32 {
  const high = word & 0x8080808080808080;
  const second = word << 1 & high;
  const fourBytes = second & word << 2 & word << 3;
  return 8 - i32(popcnt(high ^ second)) + i32(popcnt(fourBytes));
}

function afterColon(nameEnd: usize): usize {
  return skipSpace(endOfCharacter(skipSpace(nameEnd), COLON));
}

/** Returns the end of a value of any depth, without recursion. Stacks the expected closing brackets behind the text. */
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
    // After a value: ends all values that end with it, and continues with the next one.
    while (true) {
      if (open === outermost) return place;
      const closer = load<u8>(open - 1);
      place = skipSpace(place);
      if (load<u8>(place) === COMMA) {
        place = skipSpace(place + 1);
        if (closer === CLOSING_BRACE) place = afterName(place);
        break;
      }
      place = endOfCharacter(place, closer);
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
  const difference = load<u32>(start) ^ word;
  return difference === 0 ? start + 4 : fail(start + (ctz(difference) >> 3));
}

function endOfCharacter(start: usize, character: u8): usize {
  return load<u8>(start) === character ? start + 1 : fail(start);
}

function endOfString(start: usize): usize {
  let place = endOfCharacter(start, QUOTE);
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
 * Sets the top bit of each byte that is special in a string: a control character, a quote or a backslash. Only the first
 * bit is exact, because a borrow may set later ones.
 */
function specialBytes(word: u64): u64 {
  const control = word - 0x2020202020202020;
  const quote = (word ^ 0x2222222222222222) - 0x0101010101010101;
  const backslash = (word ^ 0x5c5c5c5c5c5c5c5c) - 0x0101010101010101;
  return (control | quote | backslash) & ~word & 0x8080808080808080;
}

function endOfEscape(start: usize): usize {
  if (load<u8>(start) !== BACKSLASH) fail(start); // a control character
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
        if (!isHexDigit(load<u8>(place))) fail(place);
      }
      return start + 6;
    default:
      return fail(start + 1);
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

/** Requires at least one digit. */
function endOfDigits(start: usize): usize {
  let place = start;
  while (isDigit(load<u8>(place))) place++;
  return place === start ? fail(place) : place;
}

/** Skips JSON's four white-space characters. */
function skipSpace(start: usize): usize {
  let place = start;
  let byte = load<u8>(place);
  while (isSpace(byte)) byte = load<u8>(++place);
  return place;
}

/** Returns whether a byte is white space. The first comparison is almost always the only one. */
function isSpace(byte: u8): bool {
  return byte <= 0x20 && (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09);
}

/** Traps, because the character at this place is wrong. */
function fail(place: usize): usize {
  failure = unitsTo(place);
  return unreachable();
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
