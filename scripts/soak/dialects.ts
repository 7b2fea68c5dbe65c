/**
 * Clients of other servers' protocols in a round, whose IDs and topics are the participants' IDs. Nothing may cross from one
 * protocol to another, and nothing may be lost, whatever the participants do.
 */

import { isDeepStrictEqual } from "node:util";
import type { Ledger } from "./ledger.ts";
import { pause } from "./pause.ts";

/** A protocol as two clients speak it. */
interface Protocol {
  readonly name: string;
  /** True if a sender gets its own messages, too. */
  readonly hasEcho: boolean;
  path(id: string): string;
  /** The first message of a client. */
  joins(topic: string): readonly object[];
  sent(at: string, content: Content): object;
  received(at: string, content: Content): object;
}

interface Content {
  readonly by: string;
  /** Counts what a client sends; -1 says that its subscription is done. */
  readonly n: number;
}

const PROTOCOLS: readonly Protocol[] = [
  {
    name: "PeerJS",
    hasEcho: false,
    path: (id) => `/peerjs?key=peerjs&id=${encodeURIComponent(id)}&token=soak`,
    joins: () => [],
    sent: (dst, payload) => ({ type: "OFFER", dst, payload }),
    received: (dst, payload) => ({ type: "OFFER", src: payload.by, dst, payload }),
  },
  {
    name: "y-webrtc",
    hasEcho: true,
    path: () => "/",
    joins: (topic) => [{ type: "subscribe", topics: [topic] }],
    sent: (topic, data) => ({ type: "publish", topic, data }),
    received: (topic, data) => ({ type: "publish", topic, data, clients: 2 }),
  },
  {
    name: "Trystero",
    hasEcho: true,
    path: () => "/",
    joins: (topic) => [{ type: "subscribe", topic }],
    sent: (topic, payload) => ({ type: "publish", topic, payload }),
    received: (topic, payload) => ({ topic, payload }),
  },
];

const LONGEST_PAUSE_MS = 50;
const TIMEOUT_MS = 10_000;

/** Lets two clients of each protocol talk until `isOver`. What is wrong goes to the ledger. */
export async function talkInDialects(
  url: string,
  ids: readonly [string, string],
  ledger: Ledger,
  isOver: () => boolean,
): Promise<void> {
  await Promise.all(PROTOCOLS.map((protocol) => talk(protocol, url, ids, ledger, isOver)));
}

async function talk(
  protocol: Protocol,
  url: string,
  ids: readonly [string, string],
  ledger: Ledger,
  isOver: () => boolean,
): Promise<void> {
  const speakers = ids.map((id) => new Speaker(protocol, url, id, ids, ledger));
  for (const speaker of speakers) await speaker.joined;
  let sent = 0;
  for (; !isOver(); sent++) {
    for (const speaker of speakers) speaker.send(sent);
    await pause(LONGEST_PAUSE_MS);
  }
  const untilMs = performance.now() + TIMEOUT_MS;
  const isComplete = () => speakers.every((speaker) => speaker.hasAll(sent));
  while (!isComplete() && performance.now() < untilMs) await pause(LONGEST_PAUSE_MS);
  if (!isComplete()) ledger.oddities.push(`${protocol.name}: of ${sent} messages some are lost`);
  await Promise.all(speakers.map((speaker) => speaker.end()));
}

class Speaker {
  readonly #protocol: Protocol;
  readonly #id: string;
  /** Target of its messages: the topic of both, or the other's ID. */
  readonly #target: string;
  readonly #socket: WebSocket;
  readonly #ledger: Ledger;
  /** The number of the next message, by its sender. */
  readonly #next = new Map<string, number>();
  readonly #ended = Promise.withResolvers<void>();
  #isEnding = false;
  /** Resolves once it gets messages. */
  readonly joined: Promise<void>;

  constructor(
    protocol: Protocol,
    url: string,
    id: string,
    ids: readonly [string, string],
    ledger: Ledger,
  ) {
    const other = ids.find((other) => other !== id)!;
    this.#protocol = protocol;
    this.#id = id;
    this.#target = protocol.hasEcho ? ids[0] : other;
    this.#ledger = ledger;
    for (const sender of protocol.hasEcho ? ids : [other]) this.#next.set(sender, 0);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.joined = promise;
    this.#socket = new WebSocket(url + protocol.path(id));
    this.#socket.onopen = () => {
      for (const message of protocol.joins(this.#target)) this.#write(message);
      if (protocol.hasEcho) this.send(-1);
    };
    this.#socket.onmessage = ({ data }) => {
      resolve();
      this.#receive(JSON.parse(data));
    };
    this.#socket.onclose = ({ code, reason }) => {
      if (!this.#isEnding) this.#report(`was closed with ${code} ${reason}`);
      resolve();
      this.#ended.resolve();
    };
  }

  send(n: number): void {
    this.#write(this.#protocol.sent(this.#target, { by: this.#id, n }));
  }

  #write(message: object): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #receive(message: Record<string, unknown>): void {
    if (message.type === "OPEN") return;
    const { by, n } = (message.data ?? message.payload ?? {}) as Content;
    if (n === -1) return;
    const at = this.#protocol.hasEcho ? this.#target : this.#id;
    const wanted = this.#protocol.received(at, { by, n });
    if (!isDeepStrictEqual(message, wanted)) this.#report(`got ${JSON.stringify(message)}`);
    else if (n !== this.#next.get(by)) this.#report(`got message ${n}, not ${this.#next.get(by)}`);
    this.#next.set(by, n + 1);
  }

  /** Returns whether it has got so far what each client has sent. */
  hasAll(sent: number): boolean {
    return [...this.#next.values()].every((next) => next === sent);
  }

  #report(what: string): void {
    this.#ledger.oddities.push(`${this.#protocol.name}: ${this.#id} ${what}`);
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    this.#socket.close(1000);
    await this.#ended.promise;
  }
}
