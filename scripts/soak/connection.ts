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

/** Who wants to know what the server says beside the messages of others. */
export interface Listener {
  onRegistered(registered: Registered): void;
  onPresence(type: "peer_joined" | "peer_left", id: string): void;
}

/** When a marker is refused, the next one is sent so much later. */
const MARK_AGAIN_MS = 50;
/** A marker that is not back by then is lost. */
const MARKER_PATIENCE_MS = 30_000;

type Frame = Readonly<Record<string, unknown>>;

export class Connection {
  readonly #peer: RawPeer;
  readonly #ledger: Ledger;
  readonly #listener: Listener | null;
  readonly #record: ConnectionRecord;
  readonly #registered = Promise.withResolvers<Registered | null>();
  readonly #markers = new Map<number, (isBack: boolean) => void>();
  /** While it reads nothing: resolves when it does again. */
  #stall: Promise<void> | null = null;
  #isOpen = true;
  /** Resolves when it has ended, however that came. */
  readonly ended: Promise<void>;

  private constructor(
    peer: RawPeer,
    record: ConnectionRecord,
    ledger: Ledger,
    listener: Listener | null,
  ) {
    this.#peer = peer;
    this.#record = record;
    this.#ledger = ledger;
    this.#listener = listener;
    this.ended = this.#read();
  }

  /** Connects and registers; null where the server refuses, or the connection ends before it has answered. */
  static async register(
    url: string,
    registration: Frame & { readonly client_id: string },
    ledger: Ledger,
    listener: Listener | null,
  ): Promise<{ readonly connection: Connection; readonly registered: Registered } | null> {
    const peer = await RawPeer.open(url).catch(() => null);
    if (peer === null) return null;
    const record = ledger.open(registration.client_id);
    const connection = new Connection(peer, record, ledger, listener);
    connection.#sendText({ type: "register", ...registration });
    const registered = await connection.#registered.promise;
    return registered && { connection, registered };
  }

  get isOpen(): boolean {
    return this.#isOpen;
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

  #take(frame: Frame): void {
    const { from, n, pad, marker } = frame;
    if (from === undefined) return this.#takeFromServer(frame);
    if (from !== this.#record.id) {
      return this.#ledger.receive(this.#record, `${from}`, Number(n), `${pad}`.length);
    }
    if (typeof marker === "number") this.#markerIsBack(marker);
  }

  #takeFromServer(frame: Frame): void {
    switch (frame.type) {
      case "registered":
        this.#record.registeredAtMs = performance.now();
        this.#listener?.onRegistered(frame as Registered);
        return this.#registered.resolve(frame as Registered);
      case "error":
        return this.#takeError(`${frame.code}`, frame.target_id);
      case "peer_joined":
      case "peer_left":
        return this.#listener?.onPresence(frame.type, `${frame.client_id}`);
      default:
        this.#ledger.oddities.push(`the server sent ${JSON.stringify(frame)}`);
    }
  }

  #takeError(code: string, target: unknown): void {
    if (target === this.#record.id) return this.#settleMarker(); // refused, over the rate limit
    this.#ledger.told(this.#record, code, typeof target === "string" ? target : null);
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
    const n = this.#ledger.send(this.#record, to, size);
    this.#sendText({ ...(to === null ? {} : { target_id: to }), n, pad: "x".repeat(size) });
  }

  /** Sends a message to itself, and resolves when it is back, and so all that was sent before has been taken, or never will be. */
  async mark(): Promise<void> {
    while (this.#isOpen && !await this.#tryToMark()) await pause(MARK_AGAIN_MS);
  }

  #tryToMark(): Promise<boolean> {
    const sentAtMs = performance.now();
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#markers.set(sentAtMs, resolve);
    this.#sendText({ target_id: this.#record.id, marker: sentAtMs });
    const timer = setTimeout(() => this.#giveUp(), MARKER_PATIENCE_MS);
    return promise.finally(() => clearTimeout(timer));
  }

  #giveUp(): void {
    this.#ledger.oddities.push(`${this.#record.id} never got a message to itself, nor an error`);
    this.drop();
  }

  #markerIsBack(sentAtMs: number): void {
    this.#ledger.returned(this.#record, sentAtMs);
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

  /** Is gone without a word. */
  drop(): void {
    this.#record.endedAtMs = performance.now();
    this.#peer.close();
  }

  /** Is gone with a reset: that is what becomes of a connection that is closed with much in it that was not read. */
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
    await this.#peer.write(bytes).catch(() => {});
  }

  #sendText(frame: Frame): void {
    this.#send({ payload: JSON.stringify(frame) });
  }

  #send(frame: Parameters<RawPeer["send"]>[0]): void {
    this.#peer.send(frame).catch(() => {}); // it has ended, which the reading side finds
  }
}
