/** The list of Redis servers, and which of them a room lives on. */

import { createHash } from "node:crypto";

/** Returns the name of a server in the list: its address, without what may differ from node to node. */
export function nameOf(url: string): string {
  const { hostname, port } = new URL(url);
  return `${hostname.toLowerCase()}:${port || 6379}`;
}

/** Returns the hash of a list in any order. A single server may have another name at each node. */
export function hashOf(names: readonly string[]): string {
  if (names.length === 1) return "single";
  return createHash("sha256").update(names.toSorted().join("\n")).digest("base64url").slice(0, 16);
}

/**
 * Picks a server for a room, by rendezvous hashing (Thaler and Ravishankar, 1998): if a server is added or removed, only
 * the rooms that move to it or away from it change.
 */
export function pickServer(names: readonly string[], room: string): string {
  let [best, most] = ["", -1];
  for (const name of names) {
    const weight = hash32(`${room}\n${name}`);
    if (weight > most || (weight === most && name > best)) [best, most] = [name, weight];
  }
  return best;
}

/** FNV-1a with the last step of MurmurHash3, so that every bit of the text changes half of the result. */
function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b);
  hash = Math.imul(hash ^ hash >>> 13, 0xc2b2ae35);
  return (hash ^ hash >>> 16) >>> 0;
}
