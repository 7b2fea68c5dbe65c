/** A client as it should be: it comes back after a short random delay, resumes, and goes on sending. */

import { pause } from "./pause.ts";
import type { RollingLedger } from "./rolling_ledger.ts";

/** Longest delay before it connects again, in milliseconds. */
const LONGEST_DELAY_MS = 300;

export class ResumingClient {
  readonly id: string;
  readonly #url: string;
  readonly #ledger: RollingLedger;
  #socket: WebSocket | null = null;
  #secret: string | true = true;
  #isEnding = false;
  /** Messages that were sent on this connection and may not have been taken yet, by the number of the marker behind them. */
  #untaken = new Map<number, ReturnType<RollingLedger["send"]>["sent"]>();
  #markers = 0;
  #onEnd = Promise.withResolvers<void>();

  constructor(id: string, url: string, ledger: RollingLedger) {
    this.id = id;
    this.#url = url;
    this.#ledger = ledger;
  }

  /** True while it is registered. */
  get isReady(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** True if the server has taken all that was sent on this connection. */
  get isSettled(): boolean {
    return this.isReady && this.#untaken.size === 0;
  }

  /** Registers for the first time, and again after each end of the connection. */
  async start(): Promise<void> {
    while (!await this.#connect()) await this.#delay();
  }

  #delay(): Promise<void> {
    return pause(Math.random() * LONGEST_DELAY_MS);
  }

  /** Resolves to whether it is registered. */
  #connect(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const socket = new WebSocket(this.#url);
    socket.onopen = () =>
      socket.send(JSON.stringify({ type: "register", client_id: this.id, resume: this.#secret }));
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type !== "registered") return this.#take(message);
      if (this.#secret !== true && !message.resumed) {
        this.#ledger.complain(`${this.id} lost its ID`);
      }
      this.#secret = message.resume;
      this.#socket = socket;
      this.#untaken = new Map();
      resolve(true);
    };
    socket.onerror = (event) => event.preventDefault();
    socket.onclose = () => {
      resolve(false);
      if (this.#socket === socket) this.#comeBack();
    };
    return promise;
  }

  async #comeBack(): Promise<void> {
    this.#socket = null;
    if (this.#isEnding) return this.#onEnd.resolve();
    const sinceMs = performance.now();
    await this.#delay();
    await this.start();
    this.#ledger.returned(performance.now() - sinceMs);
  }

  #take(message: Record<string, unknown>): void {
    const { type, from, n, marker, code, target_id } = message;
    if (type === "error") return this.#ledger.reported(this.id, `${target_id}`, `${code}`);
    if (from !== this.id) return this.#ledger.receive(`${from}`, this.id, Number(n));
    for (const [number, sent] of this.#untaken) {
      if (number > Number(marker)) break;
      sent.isTaken = true;
      this.#untaken.delete(number);
    }
  }

  /** Sends a message to another client, and a marker to itself: when that is back, the server has taken the message. */
  send(to: string): void {
    const { n, sent } = this.#ledger.send(this.id, to);
    const marker = this.#markers++;
    this.#untaken.set(marker, sent);
    this.#socket!.send(JSON.stringify({ target_id: to, n }));
    this.#socket!.send(JSON.stringify({ target_id: this.id, marker }));
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    this.#socket?.close(1000);
    await this.#onEnd.promise;
  }
}
