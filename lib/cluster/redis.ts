/** A session with Redis, which ends at the first error of a command. The node then begins a new one. */

import type { RedisClientType } from "redis";
import { type Clock, within } from "../clock.ts";
import { Disconnected } from "./disconnected.ts";
import { messageOf } from "../log.ts";
import type { ScriptName, Scripts } from "./scripts.ts";

/** Time limit for the connection alone, in milliseconds. */
const CONNECT_TIMEOUT_MS = 3000;
/** Time limit for connecting and loading the scripts, in milliseconds. */
const BEGIN_TIMEOUT_MS = 5000;

/** Rejects a server that cannot store the state of a cluster. The message is its mode and role, as HELLO returns them. */
export class WrongServer extends Error {}

/** Creates a client of the library; a simulated cluster has its own. */
export type CreateClient = (url: string) => Promise<RedisClientType>;

const createLibraryClient: CreateClient = async (url) => {
  const { createClient } = await import("redis"); // lazy, because loading it takes a tenth of a second
  return createClient({
    url,
    RESP: 3, // sends published messages over the same connection
    disableOfflineQueue: true,
    maintNotifications: "disabled",
    commandOptions: { timeout: 0 }, // a timer for each command would cost as much as the command
    socket: { reconnectStrategy: false, connectTimeout: CONNECT_TIMEOUT_MS },
  }) as unknown as RedisClientType;
};

/** A reply of Redis, as the client library returns it. */
export type Reply = string | number | null | readonly Reply[];

export class RedisSession {
  readonly #client: RedisClientType;
  readonly #scripts: Scripts;
  #digests: Readonly<Record<string, string>> = {};
  readonly #clock: Clock;
  #end = Promise.withResolvers<unknown>();
  /** Time of the last reply or message, in milliseconds of the clock. */
  receivedAtMs = 0;
  /** Channels that this session is to receive. */
  readonly #channels = new Set<string>();
  /** Subscriptions that Redis has not confirmed, by channel. */
  readonly #subscribing = new Map<string, Promise<unknown>>();
  readonly #listen: (message: string, channel: string) => void;

  private constructor(
    client: RedisClientType,
    scripts: Scripts,
    clock: Clock,
    onMessage: (message: string, channel: string) => void,
  ) {
    this.#client = client;
    this.#clock = clock;
    this.#listen = (message, channel) => {
      this.receivedAtMs = clock.now();
      onMessage(message, channel);
    };
    this.#scripts = scripts;
    client.on("error", (error) => this.#end.resolve(error));
  }

  /**
   * Connects, and loads the scripts.
   *
   * @param onMessage receives the messages on all channels, and must not throw
   * @throws {WrongServer}, the errors of the client library, and an error if Redis does not reply in time
   */
  static async begin(
    url: string,
    scripts: Scripts,
    clock: Clock,
    onMessage: (message: string, channel: string) => void,
    createClient = createLibraryClient,
  ): Promise<RedisSession> {
    const session = new RedisSession(await createClient(url), scripts, clock, onMessage);
    try {
      await within(
        BEGIN_TIMEOUT_MS,
        session.#open(),
        new Error("no reply while connecting"),
        clock,
      );
      return session;
    } catch (error) {
      session.end();
      throw error;
    }
  }

  async #open(): Promise<void> {
    await this.#client.connect();
    const { mode, role } = await this.#client.sendCommand<Record<string, string>>(["HELLO"]);
    if (mode !== "standalone" || role !== "master") throw new WrongServer(`${mode} ${role}`);
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

  /** Runs a script, whose keys come first in `args`. Rejects with {@link Disconnected} if the session ends before the reply. */
  async run(name: ScriptName, ...args: (string | number)[]): Promise<Reply> {
    const { keys } = this.#scripts[name];
    const command = ["EVALSHA", this.#digests[name]!, String(keys), ...args.map(String)];
    return await this.#send(command);
  }

  /** Publishes a message, and resolves to the number of subscribers that get it. */
  async publish(channel: string, message: string): Promise<number> {
    return await this.#send(["PUBLISH", channel, message]) as number;
  }

  async #send(command: string[]): Promise<Reply> {
    try {
      const reply = await this.#client.sendCommand<Reply>(command);
      this.receivedAtMs = this.#clock.now();
      return reply;
    } catch (error) {
      throw this.#endedBy(error); // NOSCRIPT too: if the scripts were loaded here, messages could overtake each other
    }
  }

  /** Ends the session, and returns the error with which its command rejects. */
  #endedBy(error: unknown): Disconnected {
    this.#end.resolve(error);
    return new Disconnected(messageOf(error));
  }

  /** Subscribes to channels, and ignores those to which this session has subscribed before. */
  async subscribe(channels: readonly string[]): Promise<void> {
    if (channels.length > 0) await this.#subscribe(channels);
    this.receivedAtMs = this.#clock.now();
  }

  async #subscribe(channels: readonly string[]): Promise<void> {
    const subscribing = this.#change(this.#client.subscribe([...channels], this.#listen));
    for (const channel of channels) {
      this.#channels.add(channel);
      this.#subscribing.set(channel, subscribing);
    }
    await subscribing;
    for (const channel of channels) {
      if (this.#subscribing.get(channel) === subscribing) this.#subscribing.delete(channel);
    }
  }

  /** Unsubscribes, and resolves once all earlier messages on the channel have been received. */
  async unsubscribe(channel: string): Promise<void> {
    this.#channels.delete(channel);
    // The client library omits a new subscription while an earlier one is confirmed whose end is already under way.
    while (this.#subscribing.has(channel)) await this.#subscribing.get(channel);
    if (this.#channels.has(channel)) return;
    await this.#change(this.#client.unsubscribe(channel, this.#listen));
  }

  /** Rejects with {@link Disconnected} if Redis refuses a change of subscriptions, or the session ends before the reply. */
  #change(change: Promise<unknown>): Promise<unknown> {
    return change.catch((error) => {
      throw this.#endedBy(error);
    });
  }

  /** Ends the session at once, and rejects all pending commands. */
  end(): void {
    this.#client.destroy();
  }
}
