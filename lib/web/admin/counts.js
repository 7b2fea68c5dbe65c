// @ts-check
/// <reference lib="dom" />

/** Lists of counts by code, each with a bar. */

import { closeMeaning, number } from "./format.js";

/**
 * @param {HTMLElement} list
 * @param {Readonly<Record<string, number>>} counts
 */
export function showErrors(list, counts) {
  showCounts(list, counts, () => "", "No errors yet.");
}

/**
 * @param {HTMLElement} list
 * @param {Readonly<Record<string, number>>} counts
 */
export function showCloses(list, counts) {
  showCounts(list, counts, closeMeaning, "No connection has ended yet.");
}

/**
 * @param {HTMLElement} list
 * @param {Readonly<Record<string, number>>} counts
 * @param {(code: string) => string} meaningOf
 * @param {string} none text if all are zero
 */
function showCounts(list, counts, meaningOf, none) {
  const entries = Object.entries(counts).filter(([, count]) => count > 0);
  entries.sort(([code, a], [other, b]) => b - a || (code < other ? -1 : 1));
  const highest = entries[0]?.[1] ?? 0;
  list.replaceChildren(
    ...entries.map(([code, count]) => item(code, meaningOf(code), count, highest)),
  );
  if (entries.length === 0) {
    list.append(Object.assign(document.createElement("li"), { textContent: none }));
  }
}

/**
 * @param {string} code
 * @param {string} meaning
 * @param {number} count
 * @param {number} highest
 */
function item(code, meaning, count, highest) {
  const entry = document.createElement("li");
  entry.className = "counted";
  const name = document.createElement("code");
  name.textContent = code;
  const more = document.createElement("span");
  more.className = "meaning";
  more.textContent = meaning;
  const value = document.createElement("b");
  value.textContent = number(count);
  const bar = document.createElement("i");
  bar.style.width = `${100 * count / highest}%`; // the content security policy allows styles that a script sets
  entry.append(name, more, value, bar);
  return entry;
}
