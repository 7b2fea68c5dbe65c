/** A client of the check: registers, and exchanges messages. */

import { randomBytes } from "node:crypto";
import { within } from "../clock.ts";
import {
  explainEnding,
  explainError,
  explainForeign,
  explainRefusal,
  NO_ANSWER,
  NOTHING_COMES,
} from "./advice.ts";
import { type Endpoint, openConnection } from "./connect.ts";
import { Failure } from "./failure.ts";
import { isHealth } from "./healthcheck.ts";
import { CheckSocket, type Ending, get, type HttpAnswer, openWebSocket } from "./websocket.ts";

/** Time for the answer to `register`, in milliseconds. */
const REGISTER_TIMEOUT_MS = 5000;
/** Time for a message, in milliseconds: a little more than the mailbox stores one for a client that is not there. */
const DELIVERY_TIMEOUT_MS = 12_000;

/** A parsed message of the server. */
export type Message = Readonly<Record<string, unknown>>;

/** The members of a registration. */
export interface Registration {
  readonly clientId: string;
  readonly room: string;
  readonly token: string | null;
}

/**
 * Opens a WebSocket.
 *
 * @throws {Failure} that explains a refusal
 */
export async function openSocket(endpoint: Endpoint, url: URL): Promise<CheckSocket> {
  const opened = await openWebSocket(await openConnection(endpoint), url, null);
  if (opened instanceof CheckSocket) return opened;
  throw new Failure(explainRefusal(opened, url, await isServerAt(endpoint, url)));
}

/** Returns the refusal of a page of this origin; null if it may connect. */
export async function refusalOfOrigin(
  endpoint: Endpoint,
  url: URL,
  origin: string,
): Promise<HttpAnswer | null> {
  const opened = await openWebSocket(await openConnection(endpoint), url, origin);
  if (!(opened instanceof CheckSocket)) return opened;
  await opened.close();
  return null;
}

/** Returns whether signalbox answers plain requests there: then something stops WebSockets alone. */
async function isServerAt(endpoint: Endpoint, url: URL): Promise<boolean> {
  const health = new URL(url);
  health.pathname = health.pathname.replace(/\/?$/, "/healthz");
  try {
    return isHealth((await get(await openConnection(endpoint), health)).body);
  } catch {
    return false;
  }
}

export class CheckClient {
  readonly #socket: CheckSocket;
  readonly #hasToken: boolean;
  readonly #expected = new Map<unknown, (message: Message) => void>();
  readonly #failed = Promise.withResolvers<never>();
  readonly id: string;
  /** The answer to the registration. */
  registered: Message = {};

  private constructor(socket: CheckSocket, id: string, hasToken: boolean) {
    this.#socket = socket;
    this.#hasToken = hasToken;
    this.id = id;
    this.#failed.promise.catch(() => {}); // most failures come while none is awaited
  }

  /**
   * Registers.
   *
   * @throws {Failure} that explains a refusal; the socket is closed then
   */
  static async register(socket: CheckSocket, registration: Registration): Promise<CheckClient> {
    const { clientId, room, token } = registration;
    const client = new CheckClient(socket, clientId, token !== null);
    try {
      const more = token === null ? {} : { token };
      await client.#send({ type: "register", client_id: clientId, room, ...more });
      const answer = await within(REGISTER_TIMEOUT_MS, client.#next(), new Failure(NO_ANSWER));
      if (answer.type !== "registered") throw new Failure(explainForeign(JSON.stringify(answer)));
      client.registered = answer;
    } catch (error) {
      await client.close();
      throw error;
    }
    client.#listen();
    return client;
  }

  /** Resolves when the connection has ended. */
  get ended(): Promise<Ending> {
    return this.#socket.ended;
  }

  /**
   * Sends a message, and waits until it has arrived.
   *
   * @throws {Failure} that explains why it has not, or not as it was sent
   */
  async deliver(to: CheckClient, text: string): Promise<void> {
    const check = randomBytes(8).toString("hex");
    const arrived = new Promise<Message>((resolve) => to.#expected.set(check, resolve));
    await this.#send({ type: "check", target_id: to.id, check, text });
    const outcome = Promise.race([arrived, this.#failed.promise, to.#failed.promise]);
    const message = await within(DELIVERY_TIMEOUT_MS, outcome, new Failure(NOTHING_COMES));
    if (message.from === this.id && message.text === text) return;
    throw new Failure("The message has arrived changed. Something between alters what is sent.");
  }

  close(): Promise<void> {
    return this.#socket.close();
  }

  #send(message: Message): Promise<void> {
    return this.#socket.send(JSON.stringify(message));
  }

  /** Passes on what comes. Others in the room of a token may broadcast: that is not expected. */
  async #listen(): Promise<void> {
    try {
      while (true) {
        const message = await this.#next();
        this.#expected.get(message.check)?.(message);
        this.#expected.delete(message.check);
      }
    } catch (error) {
      this.#failed.reject(error);
    }
  }

  /**
   * Resolves with the next message.
   *
   * @throws {Failure} that explains an error of the server, or the end of the connection
   */
  async #next(): Promise<Message> {
    const text = await this.#socket.next();
    if (text === null) throw new Failure(explainEnding(await this.#socket.ended));
    const message = parse(text);
    const isError = message.type === "error" && message.from === undefined;
    if (!isError) return message;
    const error = { code: String(message.code), message: String(message.message) };
    throw new Failure(explainError(error, this.#hasToken));
  }
}

/** @throws {Failure} if it is not a JSON object */
function parse(text: string): Message {
  try {
    const value = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // not JSON
  }
  throw new Failure(explainForeign(text));
}
