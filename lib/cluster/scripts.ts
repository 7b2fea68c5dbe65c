/**
 * The Lua scripts in `scripts/`. Redis runs each in one step, so a script decides whatever two nodes could do at the same
 * time. It publishes decisions whose order matters on a node's own channel, in order with all other messages there.
 *
 * A record describes a registered ID: its node, or nothing if Redis itself holds it for a resume; the epoch; the time of the
 * claim (ms); the end of the time for which it is held (ms), 1 if its node knows that, 0 if it is not held; the hash of its
 * secret, or nothing. A `=` before the hash marks a secret that takes the ID over, but does not hold it.
 */

import type { Keys } from "./keys.ts";
import { VERSION } from "./messages.ts";

/** Time without a heartbeat after which a node is dead and its clients count as disconnected, in milliseconds. */
export const NODE_LIFETIME_MS = 9000;

/** Returns the constants that scripts use, by their names there. */
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
  /** The number of records that one script reads, or ends: meanwhile, all other commands wait. */
  MEMBERS_AT_ONCE: 500,
  REAPED_AT_ONCE: 25,
  /** Time for which one node ends registrations for all, in milliseconds. */
  REAPER_MS: 5000,
});

/** The number of each script's arguments that are keys. */
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

export interface Script {
  /** The number of arguments that are keys. */
  readonly keys: number;
  readonly text: string;
}

export type Scripts = Readonly<Record<ScriptName, Script>>;

/** Reads the scripts. */
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

/** Adds the functions and constants that a script uses, and no others: each costs time whenever the script runs. */
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
