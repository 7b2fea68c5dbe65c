/** One connection of a participant: a WebSocket over bare TCP, so that it can stall, be cut, or talk nonsense. */

import { closePayload, OPCODE, type ReceivedFrame } from "../../tests/helpers/frames.ts";
import { RawPeer } from "../../tests/helpers/raw_peer.ts";
import type { ConnectionRecord, Ledger } from "./ledger.ts";
import { pause } from "./pause.ts";

/** The answer to a registration, as far as it matters here. */
export interface Registered {
  readonly resume?: string;
  readonly resumed?: boolean;
  readonly peers?: readonly string[];
}

/** Observer of the server's notices. */
export interface Listener {
  onRegistered(registered: Registered): void;
  onPresence(type: "peer_joined" | "peer_left", id: string): void;
}

/** Close code of a node that shuts down. */
const SHUTTING_DOWN = 1012;
/** Delay of the next marker after a refused one. */
const MARK_AGAIN_MS = 50;
type Message = Readonly<Record<string, unknown>>;

/** Node of a connection, and the ledger of all. */
export interface Way {
  readonly url: string;
  readonly ledger: Ledger;
  /** Time without an answer of a node after which a client leaves it, in milliseconds. */
  readonly timeoutMs: number;
}

export class Connection {
  readonly #peer: RawPeer;
  readonly #way: Way;
  readonly #listener: Listener | null;
  readonly #record: ConnectionRecord;
  readonly #registered = Promise.withResolvers<Registered | null>();
  readonly #markers = new Map<number, (isBack: boolean) => void>();
  /** Resolves when it reads again; null while it does. */
  #stall: Promise<void> | null = null;
  #isOpen = true;
  /** True if it may have begun a frame of which all that follows is a part, and get no answer. */
  #hasTalkedNonsense = false;
  /** Resolves when it has ended, however that came. */
  readonly ended: Promise<void>;

  private constructor(
    peer: RawPeer,
    record: ConnectionRecord,
    way: Way,
    listener: Listener | null,
  ) {
    this.#peer = peer;
    this.#record = record;
    this.#way = way;
    this.#listener = listener;
    this.ended = this.#read();
  }

  /** Connects and registers; null if the node refuses or is silent, or the connection ends before it has answered. */
  static async register(
    way: Way,
    registration: Message & { readonly client_id: string },
    listener: Listener | null,
  ): Promise<{ readonly connection: Connection; readonly registered: Registered } | null> {
    const peer = await openInTime(way);
    if (peer === null) return null;
    const record = way.ledger.open(registration.client_id, way.url);
    const connection = new Connection(peer, record, way, listener);
    connection.#sendText({ type: "register", ...registration });
    const cancel = connection.#expectAnswer(`a registration of ${record.id}`);
    const registered = await connection.#registered.promise;
    cancel();
    return registered && { connection, registered };
  }

  /** Ends the connection if nothing has come in time; the answer is to be called when it has. */
  #expectAnswer(what: string): () => void {
    const { url, ledger, timeoutMs } = this.#way;
    const sinceMs = performance.now();
    const timer = setTimeout(() => {
      if (!this.#hasTalkedNonsense) ledger.silent(url, what, sinceMs);
      this.drop();
    }, timeoutMs);
    return () => clearTimeout(timer);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The node that has closed it because it shuts down; null if none has. */
  get shutDownUrl(): string | null {
    return this.#record.closeCode === SHUTTING_DOWN ? this.#record.url : null;
  }

  async #read(): Promise<void> {
    for (let frame = await this.#peer.readFrame(); frame; frame = await this.#peer.readFrame()) {
      this.#answer(frame);
      await this.#stall;
    }
    this.#end();
  }

  #answer({ opcode, payload }: ReceivedFrame): void {
    switch (opcode) {
      case OPCODE.PING:
        return this.#send({ opcode: OPCODE.PONG, payload });
      case OPCODE.CLOSE:
        if (this.#isOpen) this.#record.closeCode = closeCodeOf(payload);
        this.#isOpen = false;
        return this.#send({ opcode: OPCODE.CLOSE, payload });
      case OPCODE.TEXT:
        return this.#take(JSON.parse(new TextDecoder().decode(payload)));
    }
  }

  #end(): void {
    this.#isOpen = false;
    this.#record.endedAtMs = Math.min(this.#record.endedAtMs, performance.now());
    this.#registered.resolve(null);
    for (const settle of this.#markers.values()) settle(false);
    this.#peer.close();
  }

  #take(message: Message): void {
    const { from, n, pad, marker } = message;
    if (from === undefined) return this.#takeNotice(message);
    if (from !== this.#record.id) {
      return this.#way.ledger.receive(this.#record, `${from}`, Number(n), `${pad}`.length);
    }
    if (typeof marker === "number") this.#markerIsBack(marker);
  }

  #takeNotice(notice: Message): void {
    switch (notice.type) {
      case "registered":
        this.#record.registeredAtMs = performance.now();
        this.#record.isResumed = notice.resumed === true;
        this.#listener?.onRegistered(notice as Registered);
        return this.#registered.resolve(notice as Registered);
      case "error":
        return this.#takeError(`${notice.code}`, notice.target_id);
      case "peer_joined":
      case "peer_left":
        return this.#listener?.onPresence(notice.type, `${notice.client_id}`);
      default:
        this.#way.ledger.oddities.push(`the server sent ${JSON.stringify(notice)}`);
    }
  }

  #takeError(code: string, target: unknown): void {
    if (target === this.#record.id) return this.#settleMarker(); // refused, over the rate limit
    this.#way.ledger.reported(this.#record, code, typeof target === "string" ? target : null);
  }

  /** The oldest marker that is under way will not come back. */
  #settleMarker(): void {
    for (const [sentAtMs, settle] of this.#markers) {
      this.#markers.delete(sentAtMs);
      return settle(false);
    }
  }

  /** Sends a message to another, or to all with null. */
  send(to: string | null, size: number): void {
    const n = this.#way.ledger.send(this.#record, to, size);
    this.#sendText({ ...(to === null ? {} : { target_id: to }), n, pad: "x".repeat(size) });
  }

  /** Sends a message to itself, and resolves when it is back: all that was sent before has been taken then, or never will be. */
  async mark(): Promise<void> {
    while (this.#isOpen && !await this.#tryToMark()) await pause(MARK_AGAIN_MS);
  }

  #tryToMark(): Promise<boolean> {
    const sentAtMs = performance.now();
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#markers.set(sentAtMs, resolve);
    this.#sendText({ target_id: this.#record.id, marker: sentAtMs });
    return promise.finally(this.#expectAnswer(`a message of ${this.#record.id} to itself`));
  }

  #markerIsBack(sentAtMs: number): void {
    this.#way.ledger.returned(this.#record, sentAtMs);
    this.#markers.get(sentAtMs)?.(true);
    this.#markers.delete(sentAtMs);
  }

  /** Reads nothing for a while. */
  async stall(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#stall = promise;
    await pause(ms);
    this.#stall = null;
    resolve();
  }

  /** Closes as a client should, and waits until it is done. */
  async close(): Promise<void> {
    this.#isOpen = false;
    this.#send({ opcode: OPCODE.CLOSE, payload: closePayload(1000) });
    await this.ended;
  }

  /** Disconnects without a close frame. */
  drop(): void {
    this.#record.endedAtMs = performance.now();
    this.#peer.close();
  }

  /** Disconnects with a reset, like a connection that is closed with unread data. */
  async reset(): Promise<void> {
    const stalled = this.stall(50);
    for (let n = 0; n < 4; n++) {
      this.#sendText({ target_id: this.#record.id, ballast: "x".repeat(50_000) });
    }
    await stalled;
    this.drop();
  }

  /** Sends bytes that are no frame. */
  async talkNonsense(bytes: Uint8Array): Promise<void> {
    this.#hasTalkedNonsense = true;
    await this.#peer.write(bytes).catch(() => {});
  }

  #sendText(message: Message): void {
    this.#send({ payload: JSON.stringify(message) });
  }

  #send(frame: Parameters<RawPeer["send"]>[0]): void {
    this.#peer.send(frame).catch(() => {}); // it has ended, which the reading side finds
  }
}

/** The code of a close frame; 1005 if it has none (RFC 6455, 7.1.5). */
function closeCodeOf(payload: Uint8Array): number {
  return payload.length < 2 ? 1005 : (payload[0]! << 8) | payload[1]!;
}

/** Connects; null if that is refused, or takes too long. */
async function openInTime({ url, ledger, timeoutMs }: Way): Promise<RawPeer | null> {
  const sinceMs = performance.now();
  const opening = RawPeer.open(url).catch(() => null);
  const late = Promise.withResolvers<null>();
  const timer = setTimeout(() => {
    ledger.silent(url, "an upgrade", sinceMs);
    opening.then((peer) => peer?.close());
    late.resolve(null);
  }, timeoutMs);
  const peer = await Promise.race([opening, late.promise]);
  clearTimeout(timer);
  return peer;
}
