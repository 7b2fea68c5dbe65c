/** Parsers of what people write into options. Each throws a {@link RangeError} that says what the option takes. */

import { BlockList, isIP } from "node:net";

const DURATION_UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
const SIZE_UNITS_BYTES = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** The longest that a timer of JavaScript can wait: 2^31-1 ms, a little under 25 days. */
const MAX_DURATION_MS = 24 * 24 * DURATION_UNITS_MS.h;

/** Milliseconds from `500ms`, `10s`, `5m`, `1h`; a bare number other than `0` is ambiguous. */
export function readDurationMs(text: string): number {
  if (text === "0") return 0;
  const [, amount, unit] = /^(\d{1,12})(ms|s|m|h)$/.exec(text) ?? [];
  const ms = Number(amount) * DURATION_UNITS_MS[unit as keyof typeof DURATION_UNITS_MS];
  if (Number.isNaN(ms) || ms > MAX_DURATION_MS) {
    throw new RangeError("a duration such as 500ms, 10s, 5m or 1h, of 24 days at the most");
  }
  return ms;
}

/** Reads a duration as {@link readDurationMs} does, and refuses 0. */
export function readMoreThanZeroMs(text: string): number {
  const ms = readDurationMs(text);
  if (ms === 0) throw new RangeError("a duration of more than 0, such as 500ms, 10s, 5m or 1h");
  return ms;
}

/** Bytes, more than none, from `65536`, `64KiB`, `1MiB`, `2GiB`. */
export function readBytes(text: string): number {
  const [, amount, unit] = /^(\d{1,15})(KiB|MiB|GiB)?$/.exec(text) ?? [];
  const factor = unit === undefined ? 1 : SIZE_UNITS_BYTES[unit as keyof typeof SIZE_UNITS_BYTES];
  const bytes = Number(amount) * factor;
  if (!Number.isSafeInteger(bytes) || bytes === 0) {
    throw new RangeError("a size of at least 1 byte, such as 65536, 64KiB or 1MiB");
  }
  return bytes;
}

/** A whole number from `min` to `max`. */
export function readInteger(text: string, min: number, max: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (!(value >= min && value <= max)) {
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    throw new RangeError(`a whole number ${range}`);
  }
  return value;
}

/** Any text but none. */
export function readText(text: string): string {
  if (text !== "") return text;
  throw new RangeError("a value that is not empty");
}

/** One of a few words. */
export function readChoice<const Choice extends string>(
  text: string,
  choices: readonly Choice[],
): Choice {
  const choice = choices.find((choice) => choice === text);
  if (choice === undefined) throw new RangeError(`one of ${choices.join(", ")}`);
  return choice;
}

/** Reads a switch from `1`, `true`, `0`, `false`. */
export function readSwitch(text: string): boolean {
  if (text === "1" || text === "true") return true;
  if (text === "0" || text === "false") return false;
  throw new RangeError("1 or true, 0 or false");
}

/** An HTTP or HTTPS URL. */
export function readHttpUrl(text: string): URL {
  const url = URL.parse(text);
  if (url?.protocol === "http:" || url?.protocol === "https:") return url;
  throw new RangeError("a URL such as https://example.org/keys.json");
}

/** The URL of a Redis server, as text. It names no database, as Redis's channels, unlike its keys, reach all of them. */
export function readRedisUrl(text: string): string {
  const { protocol, hostname, pathname = "" } = URL.parse(text) ?? {};
  const isRedis = protocol === "redis:" || protocol === "rediss:";
  if (isRedis && hostname && ["", "/", "/0"].includes(pathname)) return text;
  throw new RangeError("a URL such as redis://127.0.0.1:6379, without the number of a database");
}

/** A prefix of names in Redis. A colon in it could make a name of one cluster that of another. */
export function readPrefix(text: string): string {
  if (/^[\w.-]{1,64}$/.test(text)) return text;
  throw new RangeError("1 to 64 of the characters A-Z, a-z, 0-9, _, . and -");
}

/**
 * An origin as browsers write it (RFC 6454 section 6.2), `null`, or a pattern such as `https://*.example.org` for all
 * hosts below one.
 */
export function readOrigin(text: string): string {
  if (text === "null") return text;
  const example = text.replace(/^(https?:\/\/)\*(?=\.[^.])/, "$1any"); // of what a pattern stands for
  const isOrigin = /^https?:/.test(text)
    ? URL.parse(example)?.origin === example && !example.includes("*")
    : /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@*,]+$/.test(text);
  if (isOrigin) return text;
  throw new RangeError(
    "an origin such as https://example.org, https://*.example.org, capacitor://localhost or null, " +
      "without a path",
  );
}

/** Networks that a proxy of one's own is likely in: loopback, RFC 1918, RFC 6598, RFC 4193, link-local. */
const PRIVATE_NETWORKS = [
  "127.0.0.0/8",
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "100.64.0.0/10",
  "169.254.0.0/16",
  "::1/128",
  "fc00::/7",
  "fe80::/10",
];

/** Returns whether an address is one of a set. */
type AddressSet = (address: string) => boolean;

/** Addresses and networks; `1` or `true` means loopback and private ranges; `0` or `false` means none (null). */
export function readNetworks(text: string): AddressSet | null {
  if (text === "0" || text === "false") return null;
  const isBare = text === "1" || text === "true";
  const networks = new BlockList();
  for (const entry of isBare ? PRIVATE_NETWORKS : text.split(",")) {
    addNetwork(networks, entry.trim());
  }
  return (address) => isIP(address) !== 0 && networks.check(address, family(address));
}

function addNetwork(networks: BlockList, entry: string): void {
  const [address, prefix, ...rest] = entry.split("/");
  const version = entry.includes("%") ? 0 : isIP(address ?? ""); // a zone makes no network
  const bits = version === 4 ? 32 : 128;
  const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : NaN;
  if (address === undefined || version === 0 || !(length <= bits) || rest.length > 0) {
    throw new RangeError(
      "a comma-separated list of addresses and networks such as 10.0.0.7,192.168.0.0/16",
    );
  }
  networks.addSubnet(address, length, family(address));
}

function family(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}

/** A STUN or TURN URL (RFC 7064, RFC 7065). */
export function readIceUrl(text: string): string {
  const [, port] = /:(\d+)(?:\?|$)/.exec(text) ?? []; // browsers throw on one that is out of range
  const isUrl = /^(stuns?:[^\s?]+|turns?:[^\s?]+(\?transport=(udp|tcp))?)$/.test(text);
  if (isUrl && (port === undefined || Number(port) <= 65535)) return text;
  throw new RangeError(
    "a STUN or TURN URL such as stun:stun.example.org:3478 or turn:turn.example.org?transport=udp",
  );
}

/** A selection of `choices`: some of them, comma-separated, or `all`, or `off` for none. */
export function readSelection<const Choice extends string>(
  text: string,
  choices: readonly Choice[],
): readonly Choice[] {
  if (text === "all") return choices;
  if (text === "off") return [];
  const chosen = text.split(",").map((name) => choices.find((choice) => choice === name.trim()));
  if (chosen.every((choice) => choice !== undefined)) return [...new Set(chosen)];
  throw new RangeError(`a comma-separated list of ${choices.join(", ")}, or all, or off`);
}
