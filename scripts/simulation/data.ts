/** The data of a simulated Redis, and the commands on it that the scripts use. */

type Command = (key: string, ...args: string[]) => unknown;

export class Data {
  readonly #nowMs: () => number;
  readonly #texts = new Map<string, { readonly text: string; readonly untilMs: number }>();
  readonly #hashes = new Map<string, Map<string, string>>();
  /** The members of sets and sorted sets, with their scores. */
  readonly #members = new Map<string, Map<string, number>>();
  /** The commands by name; false stands for nil. */
  readonly #commands: Readonly<Record<string, Command>> = {
    TIME: () => {
      const nowMs = Math.floor(this.#nowMs());
      return [String(Math.floor(nowMs / 1000)), String(nowMs % 1000 * 1000)];
    },
    GET: (key) => this.#get(key) ?? false,
    SET: (key, text = "", ...options) => this.#set(key, text, options),
    INCR: (key) => {
      const value = Number(this.#get(key) ?? 0) + 1;
      this.#set(key, String(value));
      return value;
    },
    HGET: (key, field = "") => this.#hash(key).get(field) ?? false,
    HSET: (key, field = "", text = "") => this.#hash(key).set(field, text).size,
    HDEL: (key, field = "") => Number(this.#hash(key).delete(field)),
    HLEN: (key) => this.#hash(key).size,
    HGETALL: (key) => [...this.#hash(key)].flat(),
    HSCAN: (key) => ["0", [...this.#hash(key)].flat()],
    SADD: (key, member = "") => this.#scores(key).set(member, 0).size,
    SREM: (key, member = "") => Number(this.#scores(key).delete(member)),
    SMEMBERS: (key) => [...this.#scores(key).keys()],
    SPOP: (key, count) => {
      const popped = [...this.#scores(key).keys()].slice(0, Number(count));
      for (const member of popped) this.#scores(key).delete(member);
      return popped;
    },
    ZADD: (key, score, member = "") => this.#scores(key).set(member, Number(score)).size,
    ZREM: (key, member = "") => Number(this.#scores(key).delete(member)),
    ZSCORE: (key, member = "") => this.#scores(key).get(member)?.toString() ?? false,
    ZCOUNT: (key, min) =>
      [...this.#scores(key).values()].filter((score) => score >= Number(min)).length,
    ZRANGE: (key, _min, max, _by, _limit, _offset, count) =>
      [...this.#scores(key)].filter(([, score]) => score <= Number(max))
        .toSorted(([, one], [, other]) => one - other).slice(0, Number(count))
        .map(([member]) => member),
  };

  /** @param nowMs returns the time in milliseconds since 1970 */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Executes a command, and returns its reply; false stands for nil. */
  execute(name: string, args: readonly string[]): unknown {
    const command = this.#commands[name];
    if (command === undefined) throw new Error(`${name} is not simulated: add it to data.ts.`);
    return command(...args as [string, ...string[]]);
  }

  clear(): void {
    for (const values of [this.#texts, this.#hashes, this.#members]) values.clear();
  }

  #get(key: string): string | undefined {
    const { text, untilMs = 0 } = this.#texts.get(key) ?? {};
    return untilMs > this.#nowMs() ? text : undefined;
  }

  #set(key: string, text: string, options: readonly string[] = []): "OK" | false {
    if (options.includes("NX") && this.#get(key) !== undefined) return false;
    const lifetimeMs = options.includes("PX") ? Number(options.at(-1)) : Infinity;
    this.#texts.set(key, { text, untilMs: this.#nowMs() + lifetimeMs });
    return "OK";
  }

  #hash(key: string): Map<string, string> {
    return getOrAdd(this.#hashes, key, () => new Map());
  }

  #scores(key: string): Map<string, number> {
    return getOrAdd(this.#members, key, () => new Map());
  }
}

function getOrAdd<Value>(map: Map<string, Value>, key: string, create: () => Value): Value {
  let value = map.get(key);
  if (value === undefined) map.set(key, value = create());
  return value;
}
