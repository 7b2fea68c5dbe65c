/**
 * The Lua scripts in `scripts/`. Redis runs each atomically, so scripts decide all races between nodes. A script publishes
 * its response on the node's own channel, in order with all other messages there.
 *
 * A record describes a registered ID by five fields:
 * - the node; empty if Redis holds the ID for a resume
 * - the epoch
 * - the time of the claim, in milliseconds
 * - the end of the hold, in milliseconds; 1 if the node tracks it, 0 if the ID is not held
 * - the hash of the secret; empty if there is none. After a `=`, the secret takes the ID over, but does not hold it.
 */

import type { Keys } from "./keys.ts";
import { VERSION } from "./messages.ts";

/** Time without a heartbeat after which a node counts as dead, in milliseconds. */
export const NODE_LIFETIME_MS = 9000;

/** Returns the constants of the scripts, by name. */
const constantsFor = (keys: Keys) => ({
  IDS_PREFIX: keys.idsPrefix,
  ROOM_CHANNEL_PREFIX: keys.roomChannelPrefix,
  NODE_CHANNEL_PREFIX: keys.nodeChannelPrefix,
  CLIENTS_PREFIX: keys.clientsPrefix,
  NODES_KEY: keys.nodes,
  HELD_KEY: keys.held,
  COUNT_KEY: keys.count,
  LIST_KEY: keys.list,
  REAPER_KEY: keys.reaper,
  VERSION,
  NODE_LIFETIME_MS,
  /** Upper bounds of the records that one script reads or ends, because all other commands wait for it. */
  MEMBERS_AT_ONCE: 500,
  REAPED_AT_ONCE: 25,
  /** Time for which one node ends the registrations of all dead nodes, in milliseconds. */
  REAPER_MS: 5000,
});

/** The number of key arguments of each script. */
const KEY_COUNTS = {
  heartbeat: 0,
  claim: 1,
  reclaim: 1,
  release: 1,
  hold: 1,
  owned: 0,
  forget: 1,
  leave: 0,
  reap: 0,
  members: 1,
} as const;

export type ScriptName = keyof typeof KEY_COUNTS;

interface Script {
  /** The number of key arguments. */
  readonly keys: number;
  readonly text: string;
}

export type Scripts = Readonly<Record<ScriptName, Script>>;

/** Reads all scripts, and defines their constants. */
export function readScripts(keys: Keys): Scripts {
  const constants = constantsFor(keys);
  const functions = readLua("functions").split("\n\n").slice(1);
  const scripts = Object.entries(KEY_COUNTS).map(([name, count]) => {
    const text = withDefinitions(readLua(name), functions, constants);
    return [name, { keys: count, text }];
  });
  return Object.fromEntries(scripts) as Scripts;
}

function readLua(name: string): string {
  return Deno.readTextFileSync(new URL(`./scripts/${name}.lua`, import.meta.url));
}

/** Adds only the functions and constants that a script uses, because each costs time at every run. */
function withDefinitions(
  script: string,
  functions: readonly string[],
  constants: Readonly<Record<string, string | number>>,
): string {
  let text = script;
  const uses = (name: string) => new RegExp(`\\b${name}\\b`).test(text);
  for (const definition of functions.toReversed()) {
    const [, name] = /^local function (\w+)/m.exec(definition)!;
    if (uses(name!)) text = `${definition}\n${text}`;
  }
  for (const [name, value] of Object.entries(constants)) {
    if (uses(name)) text = `local ${name} = ${JSON.stringify(value)}\n${text}`;
  }
  return text;
}
