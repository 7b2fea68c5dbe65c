/** Every option of the server, declared once: its flag, its unit, its default, its help. Variables follow from the flag. */

import { readTrustedProxies } from "../http/address.ts";
import {
  DEFAULT_ADMIN_ADDRESS,
  isLoopback,
  readAdminAddress,
  writeAddress,
} from "./admin_address.ts";
import { isTurnUrl, readIceUrl } from "../auth/turn.ts";
import { type Format, type Level, LOG_LEVELS } from "../log.ts";
import type { DuplicateRule } from "../relay/directory.ts";
import {
  readBytes,
  readChoice,
  readDurationMs,
  readHttpUrl,
  readInteger,
  readList,
  readMoreThanZeroMs,
  readOrigin,
  readRedisUrl,
  readSwitch,
  readText,
} from "./parse.ts";

/** How one option is written and read. */
export interface Setting {
  /** As the help shows it: `--port <number>`. */
  readonly flag: string;
  readonly help: string;
  /** As a user would write it. Without one the option is off, and its value undefined. */
  readonly default?: string;
  /** Its value is never quoted. */
  readonly secret?: true;
  /** May be given several times; as a variable, and to `read`, a comma-separated list. */
  readonly repeatable?: true;
  /** @throws {RangeError} that says what the option takes */
  readonly read: (text: string) => unknown;
}

/** A shorter key is weaker than the hash (RFC 7518 section 3.2). */
const MIN_SECRET_BYTES = 32;

const oneOf = <const Choice extends string>(choices: readonly Choice[]) => (value: string) =>
  readChoice(value, choices);

const count = (value: string) => readInteger(value, 0, Number.MAX_SAFE_INTEGER);

export const SETTINGS = {
  host: {
    flag: "--host <address>",
    default: "0.0.0.0",
    help: "public address; :: for IPv6 and IPv4",
    read: readText,
  },
  port: {
    flag: "--port <number>",
    default: "8765",
    help: "public port; 0 picks a free one",
    read: (value) => readInteger(value, 0, 65535),
  },
  admin: {
    flag: "--admin <address>",
    help: "address and port of the admin listener, or off " +
      `(default: ${writeAddress(DEFAULT_ADMIN_ADDRESS)}, or none if that is taken)`,
    read: readAdminAddress,
  },
  adminPassword: {
    flag: "--admin-password <password>",
    help: "needed for an admin address other than loopback; HTTP Basic, any user name",
    secret: true,
    read: readPassword,
  },
  noPage: {
    flag: "--no-page",
    help: "no page at /",
    read: readSwitch,
  },
  tlsCert: {
    flag: "--tls-cert <file>",
    help: "certificate chain, PEM; with --tls-key the public port speaks wss and https",
    read: readText,
  },
  tlsKey: {
    flag: "--tls-key <file>",
    help: "private key, PEM",
    read: readText,
  },
  logLevel: {
    flag: "--log-level <level>",
    default: "info",
    help: LOG_LEVELS.join(", "),
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
  maxConnections: {
    flag: "--max-connections <number>",
    default: "10000",
    help: "connections at a time; 0: no limit",
    read: count,
  },
  maxConnectionsPerIp: {
    flag: "--max-connections-per-ip <number>",
    default: "0",
    help: "connections at a time from one address, of IPv6 from one /64; 0: no limit",
    read: count,
  },
  maxMemoryBytes: {
    flag: "--max-memory <size>",
    help: "of the whole process: above 3/4 of it nobody new is let in, above it the server " +
      "shuts down with status 75; off without it",
    read: readBytes,
  },
  maxMessageSizeBytes: {
    flag: "--max-message-size <size>",
    default: "64KiB",
    help: "of one message, in UTF-8",
    read: readBytes,
  },
  maxBufferedBytes: {
    flag: "--max-buffered <size>",
    default: "1MiB",
    help: "what may wait for one client that does not read",
    read: readBytes,
  },
  rateLimitPerSecond: {
    flag: "--rate-limit <number>",
    default: "100",
    help: "messages a second for one connection; 0: no limit",
    read: count,
  },
  rateBurst: {
    flag: "--rate-burst <number>",
    default: "200",
    help: "messages at once for one connection",
    read: (value) => readInteger(value, 1, Number.MAX_SAFE_INTEGER),
  },
  mailboxTtlMs: {
    flag: "--mailbox-ttl <duration>",
    default: "10s",
    help: "how long a message is kept for a client that is not connected; 0: off",
    read: readDurationMs,
  },
  resumeTtlMs: {
    flag: "--resume-ttl <duration>",
    default: "30s",
    help: "how long the ID of a lost connection is held for its resume; 0: off",
    read: readDurationMs,
  },
  allowOrigins: {
    flag: "--allow-origin <origin>",
    repeatable: true,
    help: "exact origin that browsers may connect from, repeatable; any without it",
    read: (value) => readList(value, readOrigin),
  },
  trustProxy: {
    flag: "--trust-proxy [list]",
    help: "addresses and networks of proxies whose X-Forwarded-For tells a client's address; " +
      "bare: loopback and private ranges",
    read: readTrustedProxies,
  },
  authSecret: {
    flag: "--auth-secret <secret>",
    help:
      `clients need a token, signed with this secret (HS256, at least ${MIN_SECRET_BYTES} bytes)`,
    secret: true,
    read: readAuthSecret,
  },
  authJwks: {
    flag: "--auth-jwks <url>",
    help: "clients need a token, signed with a key of this key set (RS256, ES256, EdDSA)",
    read: readHttpUrl,
  },
  iceServers: {
    flag: "--ice-server <url>",
    repeatable: true,
    help: "STUN or TURN URL handed to clients, repeatable",
    read: (value) => readList(value, readIceUrl),
  },
  turnSecret: {
    flag: "--turn-secret <secret>",
    help: "shared with the TURN servers, for credentials that expire",
    secret: true,
    read: readText,
  },
  turnTtlMs: {
    flag: "--turn-ttl <duration>",
    default: "1h",
    help: "how long TURN credentials hold",
    read: readMoreThanZeroMs,
  },
  redisUrl: {
    flag: "--redis <url>",
    help: "redis://… or rediss://… (Redis or Valkey): join the cluster there",
    secret: true,
    read: readRedisUrl,
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
    values[name] = readOption(setting, given[name as keyof Settings], env);
  }
  const options = values as Options;
  checkCombination(options);
  return options;
}

/** @throws {UsageError} where one option needs another */
function checkCombination(options: Options): void {
  const { admin, adminPassword, tlsCert, tlsKey, iceServers, turnSecret } = options;
  if (admin && adminPassword === undefined && !isLoopback(admin.hostname)) {
    throw new UsageError(
      `--admin ${
        writeAddress(admin)
      } can be reached from other machines: it needs --admin-password`,
    );
  }
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new UsageError("--tls-cert and --tls-key go together: one of them is missing");
  }
  const hasTurn = iceServers?.some(isTurnUrl) ?? false;
  if (hasTurn && turnSecret === undefined) {
    throw new UsageError("--ice-server with a TURN URL needs --turn-secret for its credentials");
  }
  if (!hasTurn && turnSecret !== undefined) {
    throw new UsageError("--turn-secret needs an --ice-server with a TURN URL to be used for");
  }
}

function readPassword(password: string): string {
  if (password !== "") return password;
  throw new RangeError("a password of at least one character");
}

function readAuthSecret(secret: string): string {
  if (new TextEncoder().encode(secret).length >= MIN_SECRET_BYTES) return secret;
  throw new RangeError(`a secret of at least ${MIN_SECRET_BYTES} bytes`);
}

/**
 * One option as it holds; undefined where it is off.
 *
 * @throws {UsageError} that names the option or variable and what it takes
 */
export function readOption(
  setting: Setting,
  given: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): unknown {
  const flag = setting.flag.split(" ", 1)[0]!;
  if (given !== undefined) return readValue(flag, setting.read, given, setting.secret);
  const variable = variableName(flag);
  if (env[variable]) return readValue(variable, setting.read, env[variable], setting.secret);
  return setting.default === undefined ? undefined : setting.read(setting.default);
}

/**
 * Reads what was written for an option or variable.
 *
 * @param isSecret whether a mistake must not be quoted
 * @throws {UsageError} that names it and what it takes
 */
export function readValue<Value>(
  source: string,
  read: (text: string) => Value,
  written: string,
  isSecret = false,
): Value {
  try {
    return read(written);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const quoted = isSecret ? "" : `, not ${JSON.stringify(written)}`;
    throw new UsageError(`${source} takes ${error.message}${quoted}`);
  }
}

/** `SIGNALBOX_MAX_MESSAGE_SIZE` of `--max-message-size`. */
function variableName(flag: string): string {
  return `SIGNALBOX_${flag.slice(2).replaceAll("-", "_").toUpperCase()}`;
}
