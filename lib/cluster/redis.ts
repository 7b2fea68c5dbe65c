/** One session with Redis, which ends at the first error. The node then begins a new one. */

import type { RedisClientType } from "redis";
import type { Clock } from "../clock.ts";
import type { ScriptName, Scripts } from "./scripts.ts";
import { within } from "./within.ts";

const CONNECT_TIMEOUT_MS = 3000;
/** Time limit for connecting and loading the scripts, in milliseconds. */
const BEGIN_TIMEOUT_MS = 5000;

/** A reply of Redis, as the client library gives it. */
export type Reply = string | number | null | readonly Reply[];

export class RedisSession {
  readonly #client: RedisClientType;
  readonly #scripts: Scripts;
  #digests: Readonly<Record<string, string>> = {};
  #end = Promise.withResolvers<unknown>();

  private constructor(client: RedisClientType, scripts: Scripts) {
    this.#client = client;
    this.#scripts = scripts;
    client.on("error", (error) => this.#end.resolve(error));
  }

  /**
   * Connects.
   *
   * @throws what the client library throws, or that Redis does not answer
   */
  static async begin(url: string, scripts: Scripts, clock: Clock): Promise<RedisSession> {
    const { createClient } = await import("redis"); // not at the top: loading it takes a tenth of a second
    const session = new RedisSession(
      createClient({
        url,
        RESP: 3, // published messages then come over the same connection
        disableOfflineQueue: true,
        maintNotifications: "disabled",
        socket: { reconnectStrategy: false, connectTimeout: CONNECT_TIMEOUT_MS },
      }) as unknown as RedisClientType,
      scripts,
    );
    try {
      await within(BEGIN_TIMEOUT_MS, clock, session.#open(), "no reply while connecting");
      return session;
    } catch (error) {
      session.end();
      throw error;
    }
  }

  async #open(): Promise<void> {
    await this.#client.connect();
    const entries = Object.entries(this.#scripts).map(async ([name, { text }]) => [
      name,
      await this.#client.scriptLoad(text),
    ]);
    this.#digests = Object.fromEntries(await Promise.all(entries));
  }

  /** Resolves with the error that ended the session. */
  get ended(): Promise<unknown> {
    return this.#end.promise;
  }

  /** Runs a script; its keys come first among `args`. Rejects if the session ends before the reply. */
  async run(name: ScriptName, ...args: (string | number)[]): Promise<Reply> {
    const { keys } = this.#scripts[name];
    try {
      return await this.#client.sendCommand<Reply>(
        ["EVALSHA", this.#digests[name]!, String(keys), ...args.map(String)],
      );
    } catch (error) {
      // Redis has lost the scripts. Loading them here would let messages overtake each other.
      if (error instanceof Error && error.message.startsWith("NOSCRIPT")) this.#end.resolve(error);
      throw error;
    }
  }

  /** @param onMessage must always be the same function for a channel, and must not throw */
  async subscribe(
    channels: string | string[],
    onMessage: (message: string, channel: string) => void,
  ): Promise<void> {
    await this.#client.subscribe(channels, onMessage);
  }

  /** @param onMessage the listener that was subscribed, by which the Redis client knows the subscription */
  async unsubscribe(
    channel: string,
    onMessage: (message: string, channel: string) => void,
  ): Promise<void> {
    await this.#client.unsubscribe(channel, onMessage);
  }

  async publish(channel: string, message: string): Promise<void> {
    await this.#client.publish(channel, message);
  }

  /** Ends the session at once, and rejects what is under way. */
  end(): void {
    this.#client.destroy();
  }
}
