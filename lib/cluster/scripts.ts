/**
 * What Redis does in one step each: the Lua scripts beside this file. Everything that two nodes could do at the same time
 * is decided by a script, as nothing can come between. What a node must learn in the order in which it was decided is
 * published on the node's own channel, where the messages for its clients come, too.
 *
 * A record is what is known of a client ID, as JSON: `n` its node, or "" if Redis itself holds it for a resume; `c` the
 * epoch of the registration; `t` when it was claimed (ms); `s` the hash of its secret, or ""; `h` 1 while it is held. A `=`
 * before the hash marks a secret that takes the ID over, but does not hold it.
 */

import * as KEYS from "./keys.ts";
import { VERSION } from "./messages.ts";

/** A node without a heartbeat for so long is dead, and its clients are disconnected. In milliseconds. */
export const NODE_LIFETIME_MS = 9000;

/** What scripts call by these names. */
const CONSTANTS = {
  IDS_PREFIX: KEYS.IDS_PREFIX,
  ROOM_CHANNEL_PREFIX: KEYS.ROOM_CHANNEL_PREFIX,
  NODE_CHANNEL_PREFIX: KEYS.NODE_CHANNEL_PREFIX,
  CLIENTS_PREFIX: KEYS.CLIENTS_PREFIX,
  NODES_KEY: KEYS.NODES_KEY,
  HELD_KEY: KEYS.HELD_KEY,
  COUNT_KEY: KEYS.COUNT_KEY,
  VERSION,
  NODE_LIFETIME_MS,
  /** Stored messages outlive their time a little, so that their sender's node ends them. */
  MAIL_GRACE_MS: 10_000,
  /** The clients of a dead node that one script clears away: it holds up everybody else meanwhile. */
  REAPED_AT_ONCE: 200,
} as const;

/** The number of each script's arguments that are keys. */
const KEY_COUNTS = {
  heartbeat: 0,
  claim: 3,
  reclaim: 3,
  release: 1,
  hold: 1,
  owned: 0,
  forget: 1,
  leave: 0,
  reap: 0,
  members: 1,
  send: 3,
  broadcast: 0,
  expire: 2,
} as const;

export type ScriptName = keyof typeof KEY_COUNTS;

export interface Script {
  /** The number of its arguments that are keys. */
  readonly keys: number;
  readonly text: string;
}

export type Scripts = Readonly<Record<ScriptName, Script>>;

/** Reads the scripts. */
export function readScripts(): Scripts {
  const functions = readLua("functions").split("\n\n").slice(1);
  const scripts = Object.entries(KEY_COUNTS).map(([name, keys]) => {
    const text = withDefinitions(readLua(name), functions);
    return [name, { keys, text }];
  });
  return Object.fromEntries(scripts) as Scripts;
}

function readLua(name: string): string {
  return Deno.readTextFileSync(new URL(`./scripts/${name}.lua`, import.meta.url));
}

/** Puts before a script the functions and constants that it uses, and no others: each costs time whenever it runs. */
function withDefinitions(script: string, functions: readonly string[]): string {
  let text = script;
  const uses = (name: string) => new RegExp(`\\b${name}\\b`).test(text);
  for (const definition of functions.toReversed()) {
    const [, name] = /^local function (\w+)/m.exec(definition)!;
    if (uses(name!)) text = `${definition}\n${text}`;
  }
  for (const [name, value] of Object.entries(CONSTANTS)) {
    if (uses(name)) text = `local ${name} = ${JSON.stringify(value)}\n${text}`;
  }
  return text;
}
