/** The options of the server, each once: flag, default, help and parser. The variable's name follows from the flag. */

import {
  DEFAULT_ADMIN_ADDRESS,
  isLoopback,
  readAdminAddress,
  writeAddress,
} from "./admin_address.ts";
import { isTurnUrl } from "../auth/turn.ts";
import { DIALECT_NAMES } from "../dialects/dialects.ts";
import { LOG_LEVELS, messageOf } from "../log.ts";
import {
  readBytes,
  readChoice,
  readDurationMs,
  readHttpUrl,
  readIceUrl,
  readInteger,
  readMoreThanZeroMs,
  readNetworks,
  readOrigin,
  readPrefix,
  readRedisUrl,
  readSelection,
  readSwitch,
  readText,
} from "./parse.ts";

/** One option: its notation, its help, its parser. */
export interface Setting {
  /** The notation in the help: `--port <number>`. */
  readonly flag: string;
  readonly help: string;
  /** The text that a user would write. An option without a default is off: its value is undefined. */
  readonly default?: string;
  /** Default that {@link readOptions} computes, as the help shows it. */
  readonly computedDefault?: string;
  /** Its value is never quoted nor split at commas, and may come from a file. */
  readonly secret?: true;
  /** May be given several times; its value is a list of what `read` returns. */
  readonly repeatable?: true;
  /** @throws {RangeError} that says what the option takes */
  readonly read: (text: string) => unknown;
}

/** Lower bound of a secret, in bytes: a shorter key is weaker than the hash (RFC 7518 section 3.2). */
const MIN_SECRET_BYTES = 32;
/** Lower bound of the password of an admin listener that other machines can reach, in characters. */
const MIN_PASSWORD_CHARS = 12;
/** Share of the machine's memory that the process may use. */
const MACHINE_SHARE = 3 / 4;
/** Share of the process's memory that may wait in send buffers. */
const BUFFERED_SHARE = 1 / 8;

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
    flag: "--admin <address:port>",
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
    read: oneOf(LOG_LEVELS),
  },
  logFormat: {
    flag: "--log-format <format>",
    default: "text",
    help: "text, or json: one object a line",
    read: oneOf(["text", "json"]),
  },
  onDuplicate: {
    flag: "--on-duplicate <rule>",
    default: "replace",
    help: "what a second registration of a connected ID does: replace or reject",
    read: oneOf(["replace", "reject"]),
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
    computedDefault: "three quarters of the machine's",
    help:
      "of the whole process: above 3/4 of it new connections are refused, above it the server " +
      "shuts down with status 75",
    read: readBytes,
  },
  maxMessageSizeBytes: {
    flag: "--max-message-size <size>",
    default: "256KiB",
    help: "of one message, in UTF-8",
    read: readBytes,
  },
  maxBufferedBytes: {
    flag: "--max-buffered <size>",
    default: "1MiB",
    help: "what may wait for one client that does not read",
    read: readBytes,
  },
  maxBufferedTotalBytes: {
    flag: "--max-buffered-total <size>",
    computedDefault: "an eighth of --max-memory",
    help:
      "what may wait for all clients together; above it, no burst over --max-buffered is allowed",
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
    default: "600",
    help: "messages at once for one connection",
    read: (value) => readInteger(value, 1, Number.MAX_SAFE_INTEGER),
  },
  mailboxTtlMs: {
    flag: "--mailbox-ttl <duration>",
    default: "10s",
    help: "how long a message is stored for a client that is not connected; 0: off",
    read: readDurationMs,
  },
  resumeTtlMs: {
    flag: "--resume-ttl <duration>",
    default: "30s",
    help: "how long the ID of a lost connection is held for its resume; 0: off",
    read: readDurationMs,
  },
  dialects: {
    flag: "--dialects <list>",
    default: "peerjs,y-webrtc,trystero",
    help: `clients of other servers to serve: ${DIALECT_NAMES.join(", ")}; or all, or off`,
    read: (value) => readSelection(value, DIALECT_NAMES),
  },
  peerjsKey: {
    flag: "--peerjs-key <key>",
    default: "peerjs",
    help: "the key that PeerJS clients must give",
    read: readText,
  },
  peerjsDiscovery: {
    flag: "--peerjs-discovery",
    help: "give PeerJS clients the IDs of all others",
    read: readSwitch,
  },
  allowOrigins: {
    flag: "--allow-origin <origin>",
    repeatable: true,
    help: "origin that browsers may connect from, repeatable: exact, null, or " +
      "https://*.example.org; any without it",
    read: readOrigin,
  },
  trustProxy: {
    flag: "--trust-proxy [list]",
    help: "addresses and networks of proxies that are believed about a client's address " +
      "(X-Forwarded-For, X-Real-IP); bare: loopback, private ranges, 100.64.0.0/10",
    read: readNetworks,
  },
  authSecrets: {
    flag: "--auth-secret <secret>",
    repeatable: true,
    help:
      `clients need a token, signed with this secret (HS256, at least ${MIN_SECRET_BYTES} bytes); ` +
      "repeatable: all are accepted, the first signs",
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
    read: readIceUrl,
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
  turnUsername: {
    flag: "--turn-username <name>",
    help: "fixed TURN credentials, in place of --turn-secret",
    read: readText,
  },
  turnPassword: {
    flag: "--turn-password <password>",
    help: "the password of --turn-username",
    secret: true,
    read: readText,
  },
  redisUrls: {
    flag: "--redis <url>",
    repeatable: true,
    help:
      "redis://… or rediss://… (Redis or Valkey): join the cluster there; repeatable: the rooms " +
      "are spread over all of them",
    secret: true,
    read: readRedisUrl,
  },
  redisPrefix: {
    flag: "--redis-prefix <name>",
    default: "signalbox",
    help: "start of every key and channel: several clusters may share a Redis",
    read: readPrefix,
  },
  drainDelayMs: {
    flag: "--drain-delay <duration>",
    default: "0",
    help: "how long clients stay at a shutdown while new ones are refused and /healthz says 503",
    read: readDurationMs,
  },
  drainTimeoutMs: {
    flag: "--drain-timeout <duration>",
    default: "5s",
    help: "how long the rest of a shutdown may take",
    read: readDurationMs,
  },
} as const satisfies Record<string, Setting>;

/** The token of `signalbox check`, which is no option of the server. */
export const CHECK_TOKEN: Setting = {
  flag: "--token <token>",
  help: "for a server that needs one",
  secret: true,
  read: readText,
};

type Settings = typeof SETTINGS;
type Item<Name extends keyof Settings> = ReturnType<Settings[Name]["read"]>;
type Value<Name extends keyof Settings> = Settings[Name] extends { repeatable: true }
  ? readonly Item<Name>[]
  : Item<Name>;
type HasDefault = { default: string } | { computedDefault: string };

/** The value of every option. */
export type Options = {
  readonly [Name in keyof Settings]:
    | Value<Name>
    | (Settings[Name] extends HasDefault ? never : undefined);
};

/** Error in the command line, a variable or a file. Its message is one line for the operator. */
export class UsageError extends Error {}

/** The text of each option that was given on the command line; a list for one that was repeated. */
export type GivenOptions = { readonly [Name in keyof Settings]?: string | readonly string[] };

export type Environment = Readonly<Record<string, string | undefined>>;

/** The facts that options depend on beside arguments and environment. */
export interface System {
  /** The memory that the process can use, in bytes. */
  readonly memoryBytes: number;
  /** @throws if the file cannot be read */
  readTextFile(path: string): string;
}

/**
 * Returns the options in force: what is `given`, else the variable, else the default.
 *
 * @param env the environment; an empty variable counts as none
 * @throws {UsageError} that names the option or variable and what it takes
 */
export function readOptions(given: GivenOptions, env: Environment, system: System): Options {
  const values: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries<Setting>(SETTINGS)) {
    values[name] = readOption(setting, given[name as keyof Settings], env, system);
  }
  values.maxMemoryBytes ??= Math.floor(system.memoryBytes * MACHINE_SHARE);
  values.maxBufferedTotalBytes ??= Math.floor(values.maxMemoryBytes as number * BUFFERED_SHARE);
  const options = values as Options;
  checkAdmin(options);
  checkCombinations(options);
  return options;
}

/** @throws {UsageError} if the admin listener could be reached by others without a password that is hard to guess */
function checkAdmin({ admin, adminPassword }: Options): void {
  if (!admin || isLoopback(admin.hostname)) return;
  const reason = `--admin ${writeAddress(admin)} can be reached from other machines`;
  if (adminPassword === undefined) throw new UsageError(`${reason}: it needs --admin-password`);
  if (adminPassword.length < MIN_PASSWORD_CHARS) {
    throw new UsageError(
      `${reason}: its --admin-password needs at least ${MIN_PASSWORD_CHARS} characters`,
    );
  }
}

/** @throws {UsageError} if one option needs another, or excludes it */
function checkCombinations(options: Options): void {
  const { tlsCert, tlsKey, iceServers = [], turnSecret, turnUsername, turnPassword } = options;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new UsageError("--tls-cert and --tls-key go together: one of them is missing");
  }
  if ((turnUsername === undefined) !== (turnPassword === undefined)) {
    throw new UsageError("--turn-username and --turn-password go together: one of them is missing");
  }
  if (turnSecret !== undefined && turnUsername !== undefined) {
    throw new UsageError("--turn-secret and --turn-username exclude each other: give one of them");
  }
  const hasTurn = iceServers.some(isTurnUrl);
  const credentials = turnSecret ?? turnUsername;
  if (hasTurn && credentials === undefined) {
    throw new UsageError(
      "--ice-server with a TURN URL needs --turn-secret, or --turn-username and --turn-password",
    );
  }
  if (!hasTurn && credentials !== undefined) {
    const flag = turnSecret === undefined ? "--turn-username" : "--turn-secret";
    throw new UsageError(`${flag} needs an --ice-server with a TURN URL to be used for`);
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
 * Returns the value of one option; undefined if it is off.
 *
 * @throws {UsageError} that names the option or variable and what it takes
 */
export function readOption(
  setting: Setting,
  given: string | readonly string[] | undefined,
  env: Environment,
  system: System,
): unknown {
  const flag = flagOf(setting);
  const [source, written] = given !== undefined
    ? [flag, [given].flat()]
    : readVariable(setting, env, system) ?? [flag, [setting.default].flat()];
  const texts = written.filter((text) => text !== undefined);
  if (texts.length === 0) return undefined;
  const read = (text: string) => readValue(source, setting.read, text, setting.secret);
  if (!setting.repeatable) return read(texts.at(-1)!);
  const items = setting.secret ? texts : texts.flatMap((text) => text.split(","));
  return items.map((item) => read(setting.secret ? item : item.trim()));
}

type Written = readonly [source: string, texts: readonly string[]];

/** Returns the text of a variable, or of the file that it names; null if there is neither. */
function readVariable(setting: Setting, env: Environment, system: System): Written | null {
  const variable = variableName(setting);
  const fileVariable = `${variable}_FILE`;
  const value = isServiceAddress(variable, env[variable]) ? "" : env[variable];
  const path = setting.secret ? env[fileVariable] : "";
  if (value && path) {
    throw new UsageError(`${variable} and ${fileVariable} exclude each other: give one of them`);
  }
  if (value) return [variable, [value]];
  if (!path) {
    checkNotEmptied(variable, env);
    return null;
  }
  const text = readFile(fileVariable, path, system).replace(/\r?\n$/, "");
  return [fileVariable, setting.repeatable ? text.split(/\r?\n/) : [text]];
}

/**
 * Checks that no variable meant to guard the server is empty. Any other empty variable counts as none, but this one would
 * open the server to any client.
 */
function checkNotEmptied(variable: string, env: Environment): void {
  if (!variable.startsWith(`${PREFIX}AUTH_`)) return;
  const emptied = [variable, `${variable}_FILE`].find((name) => env[name] === "");
  if (emptied === undefined) return;
  throw new UsageError(
    `${emptied} is empty: give a value, or remove it for a server without tokens`,
  );
}

/** @throws {Error} if the file cannot be read, which is not a usage error */
export function readFile(source: string, path: string, system: System): string {
  try {
    return system.readTextFile(path);
  } catch (error) {
    throw new Error(`cannot read ${source} ${path}: ${messageOf(error)}`);
  }
}

/** Kubernetes sets this for each pod beside a Service that is called signalbox. */
function isServiceAddress(variable: string, value = ""): boolean {
  return variable === "SIGNALBOX_PORT" && /^(tcp|udp):\/\//.test(value);
}

/** Finds variables that look like options and are none, each with the nearest name of an option. */
export function findUnknownVariables(env: Environment): readonly (readonly [string, string])[] {
  const known = [...Object.values<Setting>(SETTINGS), CHECK_TOKEN].flatMap((setting) => {
    const name = variableName(setting);
    return setting.secret ? [name, `${name}_FILE`] : [name];
  });
  return Object.keys(env)
    .filter((name) => name.startsWith(PREFIX) && env[name] && !known.includes(name))
    .filter((name) => !/^SIGNALBOX_(SERVICE|PORT)_/.test(name)) // those of a Service in Kubernetes
    .map((name) => [name, nearest(name, known)]);
}

function nearest(name: string, known: readonly string[]): string {
  const distances = known.map((candidate) => editDistance(name, candidate));
  return known[distances.indexOf(Math.min(...distances))]!;
}

/** Returns the number of characters to insert, delete or replace to turn one text into another (Levenshtein). */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [i, character] of [...from].entries()) {
    const next = [i + 1];
    for (let j = 0; j < to.length; j++) {
      const replaced = row[j]! + (character === to[j] ? 0 : 1);
      next.push(Math.min(replaced, row[j + 1]! + 1, next[j]! + 1));
    }
    row = next;
  }
  return row.at(-1)!;
}

/**
 * Reads the text of an option or variable.
 *
 * @param isSecret true if an error must not quote the value
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

const PREFIX = "SIGNALBOX_";

function flagOf({ flag }: Setting): string {
  return flag.split(" ", 1)[0]!;
}

/** Returns `SIGNALBOX_MAX_MESSAGE_SIZE` for `--max-message-size`. */
export function variableName(setting: Setting): string {
  return `${PREFIX}${flagOf(setting).slice(2).replaceAll("-", "_").toUpperCase()}`;
}
