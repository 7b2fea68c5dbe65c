/** Reads what people write into options: durations, sizes, counts, words. Each throws a {@link RangeError} that says what it takes. */

const DURATION_UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
const SIZE_UNITS_BYTES = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** The longest that a timer of JavaScript can wait: 2^31-1 ms, a little under 25 days. */
const MAX_DURATION_MS = 24 * 24 * DURATION_UNITS_MS.h;

/** Milliseconds from `500ms`, `10s`, `5m`, `1h`; a bare number is ambiguous, but for `0`. */
export function readDurationMs(text: string): number {
  if (text === "0") return 0;
  const [, amount, unit] = /^(\d{1,12})(ms|s|m|h)$/.exec(text) ?? [];
  const ms = Number(amount) * DURATION_UNITS_MS[unit as keyof typeof DURATION_UNITS_MS];
  if (Number.isNaN(ms) || ms > MAX_DURATION_MS) {
    throw new RangeError("a duration such as 500ms, 10s, 5m or 1h, of 24 days at the most");
  }
  return ms;
}

/** Like {@link readDurationMs}, but more than nothing. */
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

/** Whether a switch is on, from `1`, `true`, `0`, `false`. */
export function readSwitch(text: string): boolean {
  if (text === "1" || text === "true") return true;
  if (text === "0" || text === "false") return false;
  throw new RangeError("1 or true, 0 or false");
}

/** The items of a comma-separated list, each read with `read`. */
export function readList<Item>(text: string, read: (text: string) => Item): Item[] {
  return text.split(",").map((item) => read(item.trim()));
}

/** An HTTP or HTTPS address. */
export function readHttpUrl(text: string): URL {
  const url = URL.parse(text);
  if (url?.protocol === "http:" || url?.protocol === "https:") return url;
  throw new RangeError("a URL such as https://example.org/keys.json");
}

/** The address of a Redis, as text. It names no database: Redis's channels, unlike its keys, would reach all of them. */
export function readRedisUrl(text: string): string {
  const { protocol, hostname, pathname = "" } = URL.parse(text) ?? {};
  const isRedis = protocol === "redis:" || protocol === "rediss:";
  if (isRedis && hostname && ["", "/", "/0"].includes(pathname)) return text;
  throw new RangeError("a URL such as redis://127.0.0.1:6379, without the number of a database");
}

/** An origin as browsers write it (RFC 6454 section 6.2). */
export function readOrigin(text: string): string {
  const isPattern = text.includes("*"); // which URL takes for a host's name
  if (!isPattern && URL.parse(text)?.origin === text) return text;
  throw new RangeError(
    "an origin such as https://example.org or http://localhost:3000, without a path",
  );
}
