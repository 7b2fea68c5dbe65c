// @ts-check
/** Text of numbers, durations and of IDs that clients choose. */

/** Format characters and line separators, which could hide or reorder the text around them. */
const INVISIBLE = /[\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * Makes invisible characters of an ID or a room visible: `alice‹U+202E›`.
 *
 * @param {string} text
 */
export function visible(text) {
  return text.replace(INVISIBLE, (character) => {
    const digits = /** @type {number} */ (character.codePointAt(0)).toString(16).toUpperCase();
    return `‹U+${digits.padStart(4, "0")}›`;
  });
}

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SMALL = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** @param {number} value */
export function number(value) {
  return (value < 10 ? SMALL : WHOLE).format(value);
}

/** @param {number} bytes */
export function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${number(value)} ${units[unit]}`;
}

/**
 * Formats a duration in its largest unit or two.
 *
 * @param {number} ms
 */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) {
    return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;
  }
  return `${Math.floor(seconds / 86400)} d ${Math.floor(seconds % 86400 / 3600)} h`;
}

/** Meanings of close codes on this server. */
const CLOSE_MEANINGS = /** @type {Readonly<Record<string, string>>} */ ({
  1000: "goodbye",
  1001: "left, or unresponsive",
  1002: "broken protocol",
  1003: "binary frame",
  1005: "without a code",
  1006: "connection lost",
  1007: "broken text",
  1008: "refused",
  1009: "too large",
  1011: "internal error",
  1012: "shutdown",
  1013: "too slow a reader",
  4409: "ID taken",
  other: "any other",
});

/** @param {string} code */
export function closeMeaning(code) {
  return CLOSE_MEANINGS[code] ?? "";
}
