/** Every option of the server, declared once: its flag, its unit, its default, its help. Variables follow from the flag. */

import { type Format, type Level, LOG_LEVELS } from "./log.ts";
import type { DuplicateRule } from "./router.ts";
import { readChoice, readDurationMs, readInteger, readMoreThanZeroMs } from "./units.ts";

/** How one option is written and read. */
interface Setting {
  /** As the help shows it: `--port <number>`. */
  readonly flag: string;
  readonly help: string;
  /** As a user would write it. Without one the option is off, and its value undefined. */
  readonly default?: string;
  /** Whether a mistake may be quoted. */
  readonly secret?: true;
  /** @throws {RangeError} that says what the option takes */
  readonly read: (text: string) => unknown;
}

const text = (value: string) => value;
const oneOf = <const Choice extends string>(choices: readonly Choice[]) => (value: string) =>
  readChoice(value, choices);

export const SETTINGS = {
  host: {
    flag: "--host <address>",
    default: "0.0.0.0",
    help: "public address; :: for IPv6 and IPv4",
    read: text,
  },
  port: {
    flag: "--port <number>",
    default: "8765",
    help: "public port; 0 picks a free one",
    read: (value) => readInteger(value, 0, 65535),
  },
  logLevel: {
    flag: "--log-level <level>",
    default: "info",
    help: `what to log: ${LOG_LEVELS.join(", ")}`,
    read: oneOf<Level>(LOG_LEVELS),
  },
  logFormat: {
    flag: "--log-format <format>",
    default: "text",
    help: "text, or json: one object a line",
    read: oneOf<Format>(["text", "json"]),
  },
  onDuplicate: {
    flag: "--on-duplicate <rule>",
    default: "replace",
    help: "what a second registration of a connected ID does: replace or reject",
    read: oneOf<DuplicateRule>(["replace", "reject"]),
  },
  registerTimeoutMs: {
    flag: "--register-timeout <duration>",
    default: "10s",
    help: "time to register after the upgrade",
    read: readMoreThanZeroMs,
  },
  idleTimeoutMs: {
    flag: "--idle-timeout <duration>",
    default: "30s",
    help: "drop a client that shows no sign of life for so long; ping it at half of it; 0: never",
    read: readDurationMs,
  },
  drainTimeoutMs: {
    flag: "--drain-timeout <duration>",
    default: "5s",
    help: "how long a shutdown may take",
    read: readDurationMs,
  },
} as const satisfies Record<string, Setting>;

type Settings = typeof SETTINGS;

/** The value of every option. */
export type Options = {
  readonly [Name in keyof Settings]:
    | ReturnType<Settings[Name]["read"]>
    | (Settings[Name] extends { default: string } ? never : undefined);
};

/** A mistake of the person who starts the program. Its message is one line, for them. */
export class UsageError extends Error {}

/** What was written for each option that was given on the command line. */
export type GivenOptions = { readonly [Name in keyof Settings]?: string };

/**
 * The options as they hold: what is `given`, else the variable, else the default.
 *
 * @param env the environment; an empty variable counts as none
 * @throws {UsageError} that names the option or variable and what it takes
 */
export function readOptions(
  given: GivenOptions,
  env: Readonly<Record<string, string | undefined>>,
): Options {
  const values: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries<Setting>(SETTINGS)) {
    const flag = flagName(setting);
    const variable = variableName(flag);
    const written = given[name as keyof Settings];
    if (written !== undefined) values[name] = readValue(flag, setting, written);
    else if (env[variable]) values[name] = readValue(variable, setting, env[variable]);
    else if (setting.default !== undefined) values[name] = setting.read(setting.default);
  }
  return values as Options;
}

function readValue(source: string, setting: Setting, written: string): unknown {
  try {
    return setting.read(written);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const quoted = setting.secret ? "" : `, not ${JSON.stringify(written)}`;
    throw new UsageError(`${source} takes ${error.message}${quoted}`);
  }
}

/** `--port` of `--port <number>`. */
export function flagName({ flag }: Setting): string {
  return flag.split(" ", 1)[0]!;
}

/** `SIGNALBOX_MAX_MESSAGE_SIZE` of `--max-message-size`. */
export function variableName(flag: string): string {
  return `SIGNALBOX_${flag.slice(2).replaceAll("-", "_").toUpperCase()}`;
}
