/** The list of Redis servers, and the choice of one for each room. */

import { createHash } from "node:crypto";

/** Returns the name of a server in the list: its address, without user and password, which may differ between nodes. */
export function nameOf(url: string): string {
  const { hostname, port } = new URL(url);
  return `${hostname.toLowerCase()}:${port || 6379}`;
}

/** Returns the hash of a list in any order. All single servers have the same hash, as their names may differ between nodes. */
export function hashOf(names: readonly string[]): string {
  if (names.length === 1) return "single";
  return createHash("sha256").update(names.toSorted().join("\n")).digest("base64url").slice(0, 16);
}

/**
 * Picks a server for a room, by rendezvous hashing (Thaler and Ravishankar, 1998). A change of the list moves only the rooms
 * of added and removed servers.
 */
export function pickServer(names: readonly string[], room: string): string {
  let [best, most] = ["", -1];
  for (const name of names) {
    const weight = hash32(`${room}\n${name}`);
    if (weight > most || (weight === most && name > best)) [best, most] = [name, weight];
  }
  return best;
}

/** Returns FNV-1a with the finalizer of MurmurHash3, so that every bit of the text changes half of the result. */
function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b);
  hash = Math.imul(hash ^ hash >>> 13, 0xc2b2ae35);
  return (hash ^ hash >>> 16) >>> 0;
}
