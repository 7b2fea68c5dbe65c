/** One socket's life: it registers, what it sends is forwarded, it ends. */

import { Buffer } from "node:buffer";
import { Backlog, type BacklogOptions, type Outlet } from "./send_buffer.ts";
import type { Clock } from "../clock.ts";
import { readEnvelope, readMembers } from "../dialects/envelope.ts";
import type { Emit, Message } from "../events.ts";
import { broadcastCost, TokenBucket } from "./rate_limit.ts";
import {
  CLOSE_CODES,
  type CloseReason,
  describe,
  type ErrorCode,
  errorFrame,
  isFinal,
  isGoodbye,
  mailboxFull,
  MAX_UTF8_BYTES_PER_UNIT,
  ProtocolError,
  readRegistration,
  type Registration,
  targetNotFound,
} from "./vocabulary.ts";
import type { Registrar } from "./registration.ts";
import type { Client, Delivery, Link, Router } from "./router.ts";

/** What a connection needs of a WebSocket. */
export interface Socket extends Outlet {
  send(text: string): void;
  close(code: number, reason: string): void;
  addEventListener(type: "open", listener: () => void): void;
}

export interface ConnectionOptions extends BacklogOptions {
  /** Of one message, in UTF-8. */
  readonly maxMessageSizeBytes: number;
  /** Messages; 0: no limit. */
  readonly rateLimitPerSecond: number;
  readonly rateBurst: number;
}

/** What the connections of a server share. */
export interface Surroundings {
  readonly options: ConnectionOptions;
  readonly registrar: Registrar;
  readonly router: Router;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Null at any time at which messages need not wait. */
  pause?(nowMs: number): Promise<void> | null;
  /** A connection has registered. */
  onRegistered(connection: Connection): void;
}

/** After so many refusals in a row a client is not heard any more. */
const MAX_REFUSALS_IN_A_ROW = 500;
/** What may wait while others are being asked. */
const MAX_WAITING_MESSAGES = 64;
const MAX_WAITING_CHARS = 256 * 1024;
/** Up to here a message over the size limit is still read, to tell its sender which target it had. */
const MAX_EXPLAINED_CHARS = 1024 * 1024;

export class Connection implements Link {
  readonly address: string;
  /** When the request to connect came, in milliseconds of the server's clock. */
  readonly connectedAtMs: number;
  /** Messages that have come from it since it registered, whatever became of them. */
  messagesIn = 0;
  /** Frames that were sent to it, the server's own answers among them. */
  messagesOut = 0;
  readonly #socket: Socket;
  readonly #requestToken: string | null;
  readonly #surroundings: Surroundings;
  readonly #bucket: TokenBucket;
  readonly #backlog: Backlog;
  #client: Client | null = null;
  #closedFor: CloseReason | null = null;
  #refusalsInARow = 0;
  /** Messages that came while others are being asked; null at any other time. */
  #waiting: string[] | null = null;
  #waitingChars = 0;

  /** @param requestToken the token that came with the upgrade request, if one did */
  constructor(
    socket: Socket,
    address: string,
    requestToken: string | null,
    surroundings: Surroundings,
  ) {
    const { clock, options } = surroundings;
    this.address = address;
    this.connectedAtMs = clock.now();
    this.#socket = socket;
    this.#requestToken = requestToken;
    this.#surroundings = surroundings;
    const nowMs = this.connectedAtMs;
    this.#bucket = new TokenBucket(options.rateLimitPerSecond, options.rateBurst, nowMs);
    this.#backlog = new Backlog(socket, options, clock, () => this.close("overloaded"));
  }

  /** The client that it serves; null before it has registered, and once it is closing. */
  get client(): Client | null {
    return this.#client;
  }

  /** Why the server closes it, or has closed it; null where it did not. */
  get closedFor(): CloseReason | null {
    return this.#closedFor;
  }

  /** UTF-8 bytes that wait to be sent to it. */
  get waitingBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** Whether the upgrade is still to be done. */
  get isConnecting(): boolean {
    return this.#socket.readyState === WebSocket.CONNECTING;
  }

  /** A message has come: a string, or something else for a binary one. Never throws. */
  receive(data: unknown): void {
    if (this.#closedFor !== null) return;
    try {
      this.#receive(data);
    } catch (error) {
      this.#answerError(error);
    }
  }

  #receive(data: unknown): void {
    const { maxMessageSizeBytes } = this.#surroundings.options;
    if (typeof data !== "string") {
      return this.reject("unsupported_data", "Messages are JSON text; this one was binary.");
    }
    if (isLargerThan(maxMessageSizeBytes, data)) {
      const message = `A message may have ${maxMessageSizeBytes} bytes at the most.`;
      return this.reject("message_too_large", message, targetOf(data));
    }
    const receivedAtMs = this.#surroundings.clock.now();
    this.#heedPause(receivedAtMs);
    if (this.#waiting !== null) this.#wait(this.#waiting, data);
    else if (this.#client === null) this.#register(data);
    else this.#handle(this.#client, data, receivedAtMs);
  }

  #answerError(error: unknown): void {
    if (!(error instanceof ProtocolError)) {
      this.#surroundings.emit({ kind: "internal_error", where: "message", error });
      this.close("internal_error");
    } else if (this.#client === null) {
      if (this.isServed) this.reject(error.code as CloseReason & ErrorCode, error.message);
    } else {
      this.#fail(error.code, error.message);
    }
  }

  #register(text: string): void {
    const { registrar } = this.#surroundings;
    const members = readMembers(text);
    if (members.type !== "register") {
      throw new ProtocolError("not_registered", 'The first message must be {"type":"register",…}.');
    }
    const registration = readRegistration(members);
    if (registrar.isImmediate) return void registrar.register(registration, this, false);
    this.#waiting = [];
    this.#registerLater(registration).catch((error) => this.#answerError(error));
  }

  /** Others have to be asked first: what the client sends meanwhile waits. */
  async #registerLater(registration: Registration): Promise<void> {
    const { registrar } = this.#surroundings;
    const ownsId = await registrar.authorize(registration, this.#requestToken);
    if (!this.isServed) return;
    await registrar.register(registration, this, ownsId);
    this.#catchUp();
  }

  entered(client: Client): void {
    this.#client = client;
    this.#surroundings.onRegistered(this);
  }

  /** Keeps a message until its time has come. */
  #wait(waiting: string[], text: string): void {
    const chars = this.#waitingChars + text.length;
    if (waiting.length === MAX_WAITING_MESSAGES || chars > MAX_WAITING_CHARS) {
      const message = "Not forwarded: too much was sent at a time when messages have to wait.";
      return this.#refuse(message, targetOf(text));
    }
    this.#waitingChars = chars;
    waiting.push(text);
  }

  #catchUp(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    this.#waitingChars = 0;
    for (const text of waiting) this.receive(text);
  }

  /** Where this node may have lost its clients' IDs, their messages wait until it knows. */
  #heedPause(nowMs: number): void {
    const pause = this.#surroundings.pause?.(nowMs) ?? null;
    if (pause === null || this.#waiting !== null) return;
    this.#waiting = [];
    pause.then(() => this.#catchUp());
  }

  #registerAgain(client: Client, members: Readonly<Record<string, unknown>>): void {
    const { client_id: clientId, room = null } = members;
    if (clientId !== client.id || room !== (client.room.name || null)) {
      const place = client.room.name === "" ? "" : ` in room ${describe(client.room.name)}`;
      const message = `This connection is registered as ${describe(client.id)}${place}.`;
      throw new ProtocolError("already_registered", message);
    }
    this.#surroundings.registrar.registerAgain(client, readRegistration(members));
  }

  #handle(client: Client, text: string, receivedAtMs: number): void {
    const { emit, router } = this.#surroundings;
    this.messagesIn++;
    if (!this.#bucket.take(1, receivedAtMs)) return this.#refuseRate(targetOf(text));
    const { type, targetId, bytes, frame } = readEnvelope(text, client.from);
    const members = type === "register" ? readMembers(text) : null;
    const isBroadcast = members === null && targetId === "";
    const isForAll = isBroadcast || members?.presence === true; // that one is told of all
    if (isForAll && !this.#payForAll(client, receivedAtMs)) return this.#refuseRate();
    this.#refusalsInARow = 0;
    if (members !== null) return this.#registerAgain(client, members);
    const message = { type, bytes, receivedAtMs };
    if (!isBroadcast) return this.#send(client, targetId, frame, message);
    const recipients = router.broadcast(client, frame);
    emit({ kind: "broadcast", from: client, recipients, message });
  }

  /** One frame in becomes many out, or a long list, and so costs more. The first token is paid. */
  #payForAll(client: Client, nowMs: number): boolean {
    const { options, router } = this.#surroundings;
    const cost = Math.min(broadcastCost(router.recipients(client)), options.rateBurst);
    return cost === 1 || this.#bucket.take(cost - 1, nowMs);
  }

  #send(client: Client, targetId: string, frame: string, message: Message): void {
    const { emit, router } = this.#surroundings;
    const delivery = router.send(client, targetId, frame);
    if (delivery === "sent") emit({ kind: "sent", from: client, targetId, message });
    else if (typeof delivery === "string") this.#report(delivery, client, targetId, message);
    else delivery.then((delivery) => this.#report(delivery, client, targetId, message));
  }

  #report(delivery: Delivery, client: Client, targetId: string, message: Message): void {
    const { emit } = this.#surroundings;
    const target = describe(targetId);
    switch (delivery) {
      case "sent":
        return emit({ kind: "sent", from: client, targetId, message });
      case "kept":
        return emit({ kind: "stored", from: client, targetId, message });
      case "full":
        return this.#failLater(client, "mailbox_full", mailboxFull(targetId), targetId);
      case "off":
        return this.#failLater(client, "target_not_found", targetNotFound(targetId), targetId);
      case "unavailable": {
        const reason = `${target} is not here, and the other nodes cannot be reached.`;
        return this.#failLater(client, "unavailable", reason, targetId);
      }
    }
  }

  /** The client may have got a newer connection meanwhile. */
  #failLater(client: Client, code: ErrorCode, message: string, targetId: string): void {
    const { emit, router } = this.#surroundings;
    emit({ kind: "error_sent", code, subject: client });
    router.tell(client, errorFrame(code, message, targetId));
  }

  #refuseRate(targetId?: string): void {
    const { rateLimitPerSecond, rateBurst } = this.#surroundings.options;
    const rate = `${rateLimitPerSecond} messages a second, ${rateBurst} at once`;
    this.#refuse(`Not forwarded: over ${rate}.`, targetId);
  }

  #refuse(message: string, targetId?: string): void {
    this.#fail("rate_limited", message, targetId);
    if (++this.#refusalsInARow >= MAX_REFUSALS_IN_A_ROW) this.close("rate_limited");
  }

  #fail(code: ErrorCode, message: string, targetId?: string): void {
    this.#surroundings.emit({ kind: "error_sent", code, subject: this.#client ?? this });
    this.send(errorFrame(code, message, targetId));
  }

  /** Tells the client what is wrong, and closes; one that is closing already has been told. */
  reject(code: ErrorCode & CloseReason, message: string, targetId?: string): void {
    if (this.#closedFor !== null) return;
    this.#fail(code, message, targetId);
    this.close(code);
  }

  replaced(): void {
    this.reject("replaced", "A newer connection has registered this ID.");
  }

  /** Never throws: whoever sends has others to send to. */
  send(frame: string): boolean {
    if (!this.isServed || !this.#backlog.admits(frame)) return false;
    try {
      this.#socket.send(frame);
      this.messagesOut++;
      return true;
    } catch (error) {
      this.#surroundings.emit({ kind: "internal_error", where: "send", error });
      this.close("internal_error");
      return false;
    }
  }

  get isServed(): boolean {
    return this.#closedFor === null && this.#socket.readyState === WebSocket.OPEN;
  }

  /** Drops a client that has stopped to read. To be called a good deal more often than the idle timeout. */
  checkReading(): void {
    if (this.#closedFor === null) this.#backlog.look();
  }

  /** Takes the client out of the router and begins to close; from here on nothing is read or sent. */
  close(reason: CloseReason): void {
    if (this.#closedFor !== null) return;
    this.#closedFor = reason;
    this.#backlog.stop();
    this.#surroundings.emit({ kind: "closing", reason, subject: this.#client ?? this });
    this.#leave(!isFinal(reason));
    // A close before the upgrade is done would be lost.
    if (this.isConnecting) this.#socket.addEventListener("open", () => this.#closeSocket(reason));
    else this.#closeSocket(reason);
  }

  #closeSocket(reason: CloseReason): void {
    try {
      this.#socket.close(CLOSE_CODES[reason], reason);
    } catch (error) {
      this.#surroundings.emit({ kind: "internal_error", where: "close", error });
    }
  }

  /** The socket has ended. `code` is that of the close frame, 0 where none came. */
  ended(code: number): void {
    this.#backlog.stop();
    this.#leave(!isGoodbye(code));
  }

  #leave(mayReturn: boolean): void {
    const client = this.#client;
    this.#client = null;
    if (client !== null) this.#surroundings.router.unregister(client, this, mayReturn);
  }
}

function isLargerThan(bytes: number, text: string): boolean {
  if (MAX_UTF8_BYTES_PER_UNIT * text.length <= bytes) return false;
  return text.length > bytes || Buffer.byteLength(text) > bytes;
}

/** The target of a message that is not forwarded, where that can be told at little cost. */
function targetOf(text: string): string | undefined {
  if (text.length > MAX_EXPLAINED_CHARS) return undefined;
  try {
    const { target_id: targetId } = readMembers(text);
    return typeof targetId === "string" && targetId !== "" ? targetId : undefined;
  } catch {
    return undefined;
  }
}
