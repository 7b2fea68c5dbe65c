/** A simulated Redis, and connections to it on which commands and replies move only when the world says so. */

import { Keys } from "../../lib/cluster/keys.ts";
import { readScripts, type ScriptName } from "../../lib/cluster/scripts.ts";
import type { Data } from "./data.ts";
import type { Lua } from "./lua.ts";
import type { World } from "./world.ts";

/** Prefix of all keys and channels. */
export const PREFIX = "p";

type Listen = (text: string, channel: string) => void;

interface Request {
  readonly sentAtMs: number;
  readonly command: readonly string[];
  /** Handles the reply before the node reads what comes after it. */
  resolve(reply: unknown): void;
  reject(error: Error): void;
}

/** A reply or a published message on its way to the node. */
interface Arrival {
  readonly sentAtMs: number;
  receive(): void;
}

export class SimulatedRedis {
  readonly #lua: Lua;
  readonly #scripts = readScripts(new Keys(PREFIX));
  readonly data: Data;
  /** Connections that Redis has not found to be broken. */
  readonly connections = new Set<RedisConnection>();
  /** True if a client gets what its own script publishes before the reply: Redis' versions differ. */
  readonly pushesFirst: boolean;
  isUp = true;

  constructor(lua: Lua, data: Data, pushesFirst: boolean) {
    this.#lua = lua;
    this.data = data;
    this.pushesFirst = pushesFirst;
  }

  /** Returns the name of a script, which serves as its digest. */
  digestOf(text: string): string {
    const [name] = Object.entries(this.#scripts).find(([, script]) => script.text === text)!;
    return name;
  }

  execute(connection: RedisConnection, [name = "", ...args]: readonly string[]): unknown {
    if (name === "HELLO") return { mode: "standalone", role: "master" };
    if (name === "EVALSHA") return this.#runScript(args);
    if (name === "PUBLISH") return this.#publish(args[0]!, args[1]!);
    for (const channel of args) {
      if (name === "SUBSCRIBE") connection.channels.add(channel);
      else connection.channels.delete(channel);
    }
    return null;
  }

  #runScript([digest, count, ...args]: readonly string[]): unknown {
    const { text } = this.#scripts[digest as ScriptName];
    const keys = Number(count);
    return this.#lua.run(text, args.slice(0, keys), args.slice(keys), (name, ...args) => {
      const texts = args.map(String);
      return name === "PUBLISH"
        ? this.#publish(texts[0]!, texts[1]!)
        : this.data.execute(String(name), texts);
    });
  }

  #publish(channel: string, text: string): number {
    const subscribed = [...this.connections].filter(({ channels }) => channels.has(channel));
    for (const connection of subscribed) connection.push(channel, text);
    return subscribed.length;
  }
}

/** The connection of a node, with the part of the client library that a session uses. */
export class RedisConnection {
  readonly #world: World;
  readonly #node: string;
  /** The channels to which Redis has subscribed the node. */
  readonly channels = new Set<string>();
  /** Commands on their way to Redis. */
  readonly requests: Request[] = [];
  /** Replies and messages on their way to the node. */
  readonly arrivals: Arrival[] = [];
  /** Requests without a reply. */
  readonly #pending = new Set<Request>();
  readonly #listeners = new Map<string, { readonly listen: Listen; isEnding: boolean }>();
  #onError = (_error: Error) => {};
  /** True until the node has closed the connection. */
  isOpen = true;
  /** True while nothing moves on it, and neither end knows. */
  isSilent = false;

  /** @param node the name of the node */
  constructor(world: World, node: string) {
    this.#world = world;
    this.#node = node;
    world.redis.connections.add(this);
  }

  on(_event: "error", listener: (error: Error) => void): void {
    this.#onError = listener;
  }

  connect(): Promise<void> {
    return Promise.resolve();
  }

  scriptLoad(text: string): Promise<string> {
    return Promise.resolve(this.#world.redis.digestOf(text));
  }

  sendCommand(command: readonly string[], onReply = () => {}): Promise<unknown> {
    if (!this.isOpen) return Promise.reject(new Error("closed"));
    return new Promise((done, reject) => {
      const resolve = (reply: unknown) => {
        onReply();
        done(reply);
      };
      const request = { sentAtMs: this.#world.nowMs, command, resolve, reject };
      this.requests.push(request);
      this.#pending.add(request);
    });
  }

  /** Subscribes as the client library does: not to channels to which it has subscribed before. */
  async subscribe(channels: readonly string[], listen: Listen): Promise<void> {
    const missing = channels.filter((channel) => this.#listeners.get(channel)?.isEnding !== false);
    const listener = { listen, isEnding: false };
    const onReply = () => channels.forEach((channel) => this.#listeners.set(channel, listener));
    if (missing.length > 0) await this.sendCommand(["SUBSCRIBE", ...missing], onReply);
  }

  async unsubscribe(channel: string): Promise<void> {
    const listener = this.#listeners.get(channel);
    if (listener !== undefined) listener.isEnding = true;
    const onReply = () => this.#listeners.delete(channel);
    await this.sendCommand(["UNSUBSCRIBE", channel], onReply);
  }

  /** Closes the connection, of which Redis learns later. */
  destroy(): void {
    this.isOpen = false;
    this.arrivals.length = 0;
    for (const { reject } of this.#pending) reject(new Error("closed"));
    this.#pending.clear();
  }

  push(channel: string, text: string): void {
    const receive = () => {
      this.#world.log(`${this.#node} gets on ${channel}: ${text}`);
      this.#listeners.get(channel)?.listen(text, channel);
    };
    this.arrivals.push({ sentAtMs: this.#world.nowMs, receive });
  }

  /** Lets Redis execute some commands. */
  execute(count: number): void {
    for (const request of this.requests.splice(0, count)) this.#execute(request);
  }

  #execute(request: Request): void {
    this.#world.log(`${this.#node} runs ${request.command.join(" ")}`);
    const sent = this.arrivals.length;
    const reply = this.#world.redis.execute(this, request.command) ?? null;
    const receive = () => {
      this.#world.log(`${this.#node} gets the reply ${JSON.stringify(reply)}`);
      this.#pending.delete(request);
      request.resolve(reply);
    };
    const at = this.#world.redis.pushesFirst ? this.arrivals.length : sent;
    this.arrivals.splice(at, 0, { sentAtMs: this.#world.nowMs, receive });
  }

  /** Lets the node read some replies and messages at once. */
  receive(count: number): void {
    for (const { receive } of this.arrivals.splice(0, count)) if (this.isOpen) receive();
  }

  /** Makes Redis drop the connection, with the commands that have not arrived. */
  drop(): void {
    this.requests.length = 0;
    this.channels.clear();
    this.#world.redis.connections.delete(this);
  }

  /** Lets the node notice that the connection is broken. */
  fail(reason: string): void {
    if (this.isOpen) this.#onError(new Error(reason));
  }
}
