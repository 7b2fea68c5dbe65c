/** One WebSocket's life: registration, messages, and the end of the connection. */

import { Buffer } from "node:buffer";
import type { Clock } from "../clock.ts";
import type { Emit } from "../events.ts";
import { costOfCommand, execute } from "./commands.ts";
import { PendingMessages } from "./pending_messages.ts";
import { BYTES_PER_TOKEN, messageCost, TokenBucket } from "./rate_limit.ts";
import type { Registrar } from "./registration.ts";
import type { Router } from "./router.ts";
import {
  type BufferedTotal,
  SendBuffer,
  type SendBufferOptions,
  type WritableSocket,
} from "./send_buffer.ts";
import type { Session, SessionConnection } from "./session.ts";
import {
  CLOSE_CODES,
  type CloseReason,
  type Command,
  type Dialect,
  type EndReason,
  type ErrorCode,
  type FatalCode,
  isFatalCode,
  isGoodbye,
  MAX_UTF8_BYTES_PER_UNIT,
  type Notice,
  ProtocolError,
  releasesId,
} from "./vocabulary.ts";

/** The part of a WebSocket that a connection uses. */
export interface Socket extends WritableSocket {
  send(text: string): void;
  close(code: number, reason: string): void;
  addEventListener(type: "open", listener: () => void): void;
}

export interface ConnectionOptions extends SendBufferOptions {
  /** Upper bound of one message, in bytes of UTF-8. */
  readonly maxMessageSizeBytes: number;
  /** Messages a second; 0: no limit. */
  readonly rateLimitPerSecond: number;
  /** Messages at once. */
  readonly rateBurst: number;
}

/** The upgrade request of a client. */
interface ConnectionRequest {
  /** The client's IP address. */
  readonly address: string;
  readonly url: string;
  /** Null if the request had none. */
  readonly token: string | null;
}

/** Dependencies that all connections of a server share. */
export interface ConnectionDeps {
  readonly options: ConnectionOptions;
  readonly registrar: Registrar;
  readonly router: Router;
  /** The core protocol is the last one. */
  readonly dialects: readonly [...Dialect[], Dialect];
  readonly bufferedTotal: BufferedTotal;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Called when a connection has registered. */
  onRegistered(connection: Connection): void;
}

/** The number of dropped messages in a row after which the connection is closed. */
const MAX_DROPPED_IN_A_ROW = 500;
/**
 * The time between an error and the close frame, in milliseconds. Without it, a client that keeps sending could lose the
 * error: TCP discards it if the connection closes with unread data.
 */
const LINGER_MS = 300;
/** Upper bound of the messages that are read in that time. The runtime reads a flood in one go, and serves no other client. */
const MAX_LINGER_MESSAGES = 10_000;
/** Upper bound of an oversized message that is still searched for its target, in UTF-16 code units. */
const MAX_EXPLAINED_CHARS = 1024 * 1024;

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class Connection implements SessionConnection {
  readonly address: string;
  /** Time of the upgrade request, in milliseconds of the server's clock. */
  readonly connectedAtMs: number;
  /** Messages from the client since it registered, dropped ones included. */
  messagesIn = 0;
  /** Messages and notices to the client. */
  messagesOut = 0;
  readonly #socket: Socket;
  /** Null once it is not needed any more, because it may have 60 KiB. */
  #url: string | null;
  /** Null likewise. */
  #token: string | null;
  readonly #deps: ConnectionDeps;
  readonly #bucket: TokenBucket;
  readonly #sendBuffer: SendBuffer;
  #dialect: Dialect | null = null;
  /** The sender, as the dialect writes it into each message of the client. */
  #sender = "";
  #session: Session | null = null;
  /** True if the client has registered by its URL, and has sent nothing yet. */
  #isTentative = false;
  #deferredError: ProtocolError | null = null;
  #closedFor: CloseReason | null = null;
  #droppedInARow = 0;
  /** Null if messages need not wait. */
  #pending: PendingMessages | null = null;
  #cancelLinger = () => {};
  #ignored = 0;

  constructor(socket: Socket, request: ConnectionRequest, deps: ConnectionDeps) {
    const { clock, options, bufferedTotal } = deps;
    this.address = request.address;
    this.connectedAtMs = clock.now();
    this.#socket = socket;
    this.#token = request.token;
    this.#deps = deps;
    this.#bucket = new TokenBucket(
      options.rateLimitPerSecond,
      options.rateBurst,
      this.connectedAtMs,
    );
    this.#dialect = dialectOf(request.url, deps.dialects);
    this.#url = this.#dialect === null ? null : request.url;
    this.#isTentative = this.#dialect?.isTentative === true;
    const onOverloaded = () => this.close("overloaded");
    this.#sendBuffer = new SendBuffer(socket, options, bufferedTotal, clock, onOverloaded);
  }

  /** Null before the client has registered, and once the connection is closing. */
  get session(): Session | null {
    return this.#session;
  }

  /** The dialect's name; null for the core protocol, and before the first message. */
  get dialect(): string | null {
    return this.#dialect?.name ?? null;
  }

  /** The reason for which the server closed the connection; null if it did not. */
  get closedFor(): CloseReason | null {
    return this.#closedFor;
  }

  /** Bytes of UTF-8 that wait to be written to the client. */
  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** True until the upgrade is done. */
  get isConnecting(): boolean {
    return this.#socket.readyState === WebSocket.CONNECTING;
  }

  get isOpen(): boolean {
    return this.#closedFor === null && this.#socket.readyState === WebSocket.OPEN;
  }

  /** Handles a message, which is a string or an ArrayBuffer. Never throws. */
  receive(data: unknown): void {
    if (this.#closedFor !== null) return this.#ignore(this.#closedFor);
    try {
      this.#receive(typeof data === "string" ? data : decodeUtf8(data));
    } catch (error) {
      this.#handleError(error);
    }
  }

  #ignore(reason: CloseReason): void {
    if (++this.#ignored !== MAX_LINGER_MESSAGES) return;
    this.#cancelLinger();
    this.#closeSocket(reason);
  }

  #receive(text: string): void {
    const { options, clock, router } = this.#deps;
    const excess = isLargerThan(options.maxMessageSizeBytes, text);
    if (excess !== null) {
      const message = `A message has ${excess} bytes, over the limit of ` +
        `${options.maxMessageSizeBytes} (--max-message-size).`;
      return this.reject("message_too_large", message, this.#targetOf(text));
    }
    const nowMs = clock.now();
    this.#pauseUntil(router.directory.pauseAt(nowMs));
    if (this.#pending === null && this.#isTentative) this.#decideTentative(text);
    if (this.#pending !== null) this.#postpone(this.#pending, text);
    else if (this.#session === null) this.#handleFirst(text);
    else this.#handle(this.#session, text, nowMs);
  }

  #handleError(error: unknown): void {
    if (!(error instanceof ProtocolError)) return this.#failInternally(error);
    if (this.#session === null && !this.isOpen) return; // the client has disconnected meanwhile
    const { code, message } = error;
    // Clients of other servers register by their URL or first message, whatever comes after it.
    const isRegistering = this.#session === null && this.dialect === null;
    if (isRegistering || code === "message_too_large") this.#rejectWith(error);
    else this.#notifyError(code, message);
  }

  #failInternally(error: unknown): void {
    this.#deps.emit({ kind: "internal_error", where: "message", error });
    this.close("internal_error");
  }

  #rejectWith({ code, message, retryAfterMs }: ProtocolError): void {
    if (isFatalCode(code)) this.reject(code, message, undefined, retryAfterMs);
  }

  #handleFailedRegistration(error: unknown): void {
    if (!(error instanceof ProtocolError)) return this.#failInternally(error);
    if (!this.isOpen) return; // the client has disconnected meanwhile
    if (!this.#isTentative) return this.#rejectWith(error);
    this.#deferredError = error; // the client may still register otherwise
    this.#handlePending();
  }

  /** Rejects a client that has not registered in time. */
  rejectUnregistered(): void {
    if (this.#deferredError !== null) return this.#rejectWith(this.#deferredError);
    const message = "No valid register message came in time (--register-timeout).";
    this.reject("register_timeout", message);
  }

  /** True if {@link opened} will register the client by its URL. */
  get registersByUrl(): boolean {
    return this.#dialect !== null;
  }

  /** Handles the end of the upgrade. Never throws. */
  opened(): void {
    const url = this.#url;
    this.#url = null;
    if (url === null) return;
    try {
      const command = this.#dialect?.decodeUrl?.(new URL(url));
      if (command !== undefined) this.#executeFirst(command);
    } catch (error) {
      this.#handleFailedRegistration(error);
    }
  }

  /** Confirms or ends a registration by URL, depending on the first message. */
  #decideTentative(text: string): void {
    this.#isTentative = false;
    const other = this.#dialect?.accepts(text) ? null : dialectOfFirst(text, this.#deps.dialects);
    if (other !== null) {
      this.#detach(false, null);
      this.#dialect = other;
    } else if (this.#deferredError !== null) {
      this.#rejectWith(this.#deferredError);
    }
  }

  #handleFirst(text: string): void {
    if (!this.isOpen) return; // the client has disconnected before this message had its turn
    const { dialects, registrar } = this.#deps;
    // The core gets what no other dialect accepts, and reads it only once.
    this.#dialect ??= dialectOfFirst(text, dialects.slice(0, -1)) ?? this.#dialectOrCore;
    const { anonymousRoom } = this.#dialect;
    if (anonymousRoom === undefined) return this.#executeFirst(this.#dialect.decode(text, null));
    const deciding = registrar.registerAnonymously(anonymousRoom, this.#token, this);
    this.#await(deciding).add(text);
  }

  #executeFirst(command: Command): void {
    if (command.kind !== "register") return;
    const { registrar } = this.#deps;
    const deciding = registrar.register(command.registration, this.#token, this);
    if (deciding !== undefined) this.#await(deciding);
  }

  /** Lets messages wait until a registration is decided, or the node's lease is valid. */
  #await(ready: Promise<void>): PendingMessages {
    ready.then(
      () => this.#handlePending(),
      (error) => this.#handleFailedRegistration(error),
    );
    return this.#pending = new PendingMessages(this.#deps.bufferedTotal);
  }

  attached(session: Session): void {
    this.#session = session;
    if (!this.#isTentative) this.#token = null;
    this.#sender = this.#dialect?.sender(session.id) ?? "";
    this.#deps.onRegistered(this);
  }

  #postpone(pending: PendingMessages, text: string): void {
    if (pending.hasCapacityFor(text)) return pending.add(text);
    const message = `Message dropped: over ${PendingMessages.bound} sent while registration is ` +
      "pending.";
    this.#dropMessage(message, this.#targetOf(text));
  }

  #handlePending(): void {
    const texts = this.#pending?.take() ?? [];
    this.#pending = null;
    for (const text of texts) this.receive(text);
  }

  /** Waits while the node may have lost its clients' IDs. */
  #pauseUntil(resumed: Promise<void> | null): void {
    if (resumed !== null && this.#pending === null) this.#await(resumed);
  }

  #handle(session: Session, text: string, nowMs: number): void {
    this.messagesIn++;
    const { router, options: { rateBurst } } = this.#deps;
    const cost = costOf(text);
    if (!this.#bucket.take(cost, nowMs)) return this.#dropOverRate(this.#targetOf(text));
    const command = this.#dialect!.decode(text, this.#sender);
    const totalCost = Math.min(costOfCommand(command, session, cost, router), rateBurst);
    if (totalCost > cost && !this.#bucket.take(totalCost - cost, nowMs)) {
      return this.#dropOverRate();
    }
    this.#droppedInARow = 0;
    execute(command, session, nowMs, this.#deps);
  }

  #dropOverRate(targetId?: string): void {
    const { rateLimitPerSecond, rateBurst } = this.#deps.options;
    const message = `Message dropped: over ${rateLimitPerSecond} messages a second ` +
      `(--rate-limit), ${rateBurst} at once (--rate-burst).`;
    this.#dropMessage(message, targetId);
  }

  #dropMessage(message: string, targetId?: string): void {
    const isLast = ++this.#droppedInARow >= MAX_DROPPED_IN_A_ROW;
    if (isLast) this.reject("rate_limited", message, targetId);
    else this.#notifyError("rate_limited", message, targetId);
  }

  #notifyError(code: ErrorCode, message: string, targetId?: string, retryAfterMs?: number): void {
    this.#deps.emit({ kind: "error_sent", code, subject: this.#session ?? this });
    this.notify({ kind: "error", code, message, targetId, retryAfterMs });
  }

  /** The core protocol before the first message. */
  get #dialectOrCore(): Dialect {
    return this.#dialect ?? this.#deps.dialects.at(-1)!;
  }

  #targetOf(text: string): string | undefined {
    if (text.length > MAX_EXPLAINED_CHARS) return undefined;
    return this.#dialectOrCore.targetOf(text);
  }

  /** Sends an error, closes after {@link LINGER_MS} or {@link MAX_LINGER_MESSAGES}, and ends the session at once. */
  reject(code: FatalCode, message: string, targetId?: string, retryAfterMs?: number): void {
    if (this.#closedFor !== null) return;
    this.#notifyError(code, message, targetId, retryAfterMs);
    if (this.#closedFor !== null) return; // sending the error has closed the connection
    if (this.#session === null) {
      this.#deps.emit({ kind: "client_refused", address: this.address, code, message });
    }
    this.#end(code);
    if (this.isConnecting) this.#closeSocket(code);
    else this.#cancelLinger = this.#deps.clock.after(LINGER_MS, () => this.#closeSocket(code));
  }

  replaced(): void {
    this.reject("replaced", "A newer connection has registered this ID.");
  }

  /** Sends a text; returns false if the connection takes none any more. Never throws: the caller has others to send to. */
  send(text: string): boolean {
    if (!this.isOpen || !this.#sendBuffer.canSend(text)) return false;
    try {
      this.#socket.send(text);
      this.messagesOut++;
      return true;
    } catch (error) {
      this.#deps.emit({ kind: "internal_error", where: "send", error });
      this.close("internal_error");
      return false;
    }
  }

  notify(notice: Notice): boolean {
    const text = this.#dialectOrCore.encode(notice, this.#session?.id ?? "");
    return text === null ? this.isOpen : this.send(text);
  }

  /** Drops a client that has stopped reading. Called several times in each idle timeout. */
  checkStalled(): void {
    if (this.#closedFor === null) this.#sendBuffer.checkStalled();
  }

  /** Closes at once: from now on nothing is read or sent. */
  close(reason: CloseReason): void {
    if (this.#closedFor !== null) return;
    this.#end(reason);
    this.#closeSocket(reason);
  }

  /** Ends the session, even if the socket stays open. */
  #end(reason: CloseReason): void {
    this.#closedFor = reason;
    this.#sendBuffer.stop();
    this.#deps.emit({ kind: "closing", reason, subject: this.#session ?? this });
    this.#detach(!releasesId(reason), reason);
  }

  #closeSocket(reason: CloseReason): void {
    if (this.isConnecting) { // the runtime would lose a close before the upgrade is done
      return this.#socket.addEventListener("open", () => this.#closeSocket(reason));
    }
    try {
      this.#socket.close(CLOSE_CODES[reason], reason);
    } catch (error) {
      this.#deps.emit({ kind: "internal_error", where: "close", error });
    }
  }

  /**
   * Handles the end of the socket.
   *
   * @param code the close frame's, 0 if there was none
   * @param reason null if the runtime did not close it
   */
  ended(code: number, reason: EndReason | null = null): void {
    this.#cancelLinger();
    this.#sendBuffer.release();
    this.#pending?.take();
    this.#detach(!isGoodbye(code), reason);
  }

  #detach(mayResume: boolean, reason: EndReason | null): void {
    const session = this.#session;
    this.#session = null;
    if (session !== null) this.#deps.router.detach(session, this, mayResume, reason);
  }
}

/** Finds the dialect of a URL. A closure of the constructor would keep the URL for as long as the connection. */
function dialectOf(url: string, dialects: readonly Dialect[]): Dialect | null {
  return dialects.find(({ acceptsUrl }) => acceptsUrl?.(url)) ?? null;
}

/** Finds the dialect that a first message shows; null if it shows none. */
function dialectOfFirst(text: string, dialects: readonly Dialect[]): Dialect | null {
  return dialects.find(({ acceptsUrl, accepts }) => acceptsUrl === undefined && accepts(text)) ??
    null;
}

/** Reads a binary message as text. */
function decodeUtf8(data: unknown): string {
  try {
    return UTF8.decode(data as ArrayBuffer);
  } catch {
    throw new ProtocolError("invalid_message", "A binary message must be JSON in UTF-8.");
  }
}

/** Returns the size of a text in UTF-8 if it is over the limit, else null. */
function isLargerThan(maxBytes: number, text: string): number | null {
  if (MAX_UTF8_BYTES_PER_UNIT * text.length <= maxBytes) return null;
  const bytes = Buffer.byteLength(text);
  return bytes > maxBytes ? bytes : null;
}

/** Returns the cost of a text by its size. Most messages cost one token, and need not be measured. */
function costOf(text: string): number {
  const isShort = MAX_UTF8_BYTES_PER_UNIT * text.length <= BYTES_PER_TOKEN;
  return isShort ? 1 : messageCost(Buffer.byteLength(text));
}
