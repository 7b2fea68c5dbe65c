/** One session with Redis: connected, scripts loaded, until something goes wrong. Then a new one is begun. */

import type { RedisClientType } from "redis";
import { type ScriptName, SCRIPTS } from "./scripts.ts";

const CONNECT_TIMEOUT_MS = 3000;

/** A reply of Redis, as the client library gives it. */
export type Reply = string | number | null | readonly Reply[];

export class RedisSession {
  readonly #client: RedisClientType;
  readonly #digests: Readonly<Record<string, string>>;

  private constructor(client: RedisClientType, digests: Readonly<Record<string, string>>) {
    this.#client = client;
    this.#digests = digests;
  }

  /**
   * Connects.
   *
   * @param onEnd is called once if the session ends by itself; what was under way rejects
   * @throws what the client library throws
   */
  static async begin(url: string, onEnd: (error: Error) => void): Promise<RedisSession> {
    const { createClient } = await import("redis"); // only here: it takes a tenth of a second to load
    const client = createClient({
      url,
      RESP: 3, // replies and published messages in one stream, in the order in which things happened
      disableOfflineQueue: true,
      socket: { reconnectStrategy: false, connectTimeout: CONNECT_TIMEOUT_MS },
    }) as unknown as RedisClientType;
    let isConnected = false;
    client.on("error", (error: Error) => {
      if (isConnected) onEnd(error);
      isConnected = false;
    });
    await client.connect();
    try {
      const digests = await loadScripts(client);
      isConnected = true;
      return new RedisSession(client, digests);
    } catch (error) {
      client.destroy();
      throw error;
    }
  }

  /** Runs a script; its keys come first among `args`. Rejects where the session ends before the reply. */
  run(name: ScriptName, ...args: (string | number)[]): Promise<Reply> {
    const { keys } = SCRIPTS[name];
    return this.#client.sendCommand<Reply>(
      ["EVALSHA", this.#digests[name]!, String(keys), ...args.map(String)],
    );
  }

  async subscribe(channel: string, onMessage: (message: string) => void): Promise<void> {
    await this.#client.subscribe(channel, onMessage);
  }

  async unsubscribe(channel: string): Promise<void> {
    await this.#client.unsubscribe(channel);
  }

  async publish(channel: string, message: string): Promise<void> {
    await this.#client.publish(channel, message);
  }

  /** Ends the session at once; what is under way rejects. */
  end(): void {
    if (this.#client.isOpen) this.#client.destroy();
  }
}

async function loadScripts(client: RedisClientType): Promise<Record<string, string>> {
  const entries = Object.entries(SCRIPTS).map(async ([name, { text }]) => [
    name,
    await client.scriptLoad(text),
  ]);
  return Object.fromEntries(await Promise.all(entries));
}
