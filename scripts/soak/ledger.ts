/** Ledger of what was sent, what arrived and which errors senders got: it is judged in the end. */

/** A connection of a participant, as its own side saw it. Times are in milliseconds of one clock. */
export interface ConnectionRecord {
  readonly id: string;
  /** The node that it went to. */
  readonly url: string;
  /** Time at which it sent its `register`. */
  readonly startedAtMs: number;
  /** Time at which that was answered. */
  registeredAtMs: number;
  /** True if it took over what was stored and sent for the previous connection of its ID. */
  isResumed: boolean;
  /** Time of its end; Infinity before that. */
  endedAtMs: number;
  /** The code with which the server closed it, after all messages that it sent there; null if the server did not. */
  closeCode: number | null;
  /** Messages to itself that came back, in order. When one is back, all that was done before it was sent is done. */
  readonly markers: MarkerRecord[];
  /** Messages that it got from others, in order. */
  readonly received: ReceivedRecord[];
}

export interface ReceivedRecord {
  readonly message: MessageRecord;
  readonly receivedAtMs: number;
}

interface MarkerRecord {
  readonly sentAtMs: number;
  readonly returnedAtMs: number;
}

export interface MessageRecord {
  readonly from: ConnectionRecord;
  /** Null for a broadcast. */
  readonly to: string | null;
  /** Counts what one ID sends. */
  readonly n: number;
  readonly size: number;
  readonly sentAtMs: number;
  /** Time at which it was certain that the server had taken it; Infinity if it never was. */
  takenAtMs: number;
  /** IDs that got it, each as often as it did. */
  readonly deliveredTo: string[];
  /** Time at which the first of them got it; Infinity if none did. */
  deliveredAtMs: number;
}

/** An error notice. */
export interface ErrorRecord {
  readonly at: ConnectionRecord;
  readonly code: string;
  /** Null if the notice named no target. */
  readonly target: string | null;
  readonly receivedAtMs: number;
}

/** A message that a client got twice. */
interface RepeatRecord {
  readonly message: MessageRecord;
  readonly at: ConnectionRecord;
}

/** A time in which a node gave no answer to a client, which then went elsewhere. */
interface Silence {
  readonly url: string;
  readonly what: string;
  readonly sinceMs: number;
  readonly untilMs: number;
}

export class Ledger {
  readonly connections: ConnectionRecord[] = [];
  readonly messages: MessageRecord[] = [];
  readonly errors: ErrorRecord[] = [];
  readonly silences: Silence[] = [];
  readonly repeats: RepeatRecord[] = [];
  /** Violations that can be seen at once. */
  readonly oddities: string[] = [];
  readonly #byNumber = new Map<string, MessageRecord[]>();
  readonly #untaken = new Map<ConnectionRecord, MessageRecord[]>();

  /** A connection is about to register. */
  open(id: string, url: string): ConnectionRecord {
    const connection = {
      id,
      url,
      startedAtMs: performance.now(),
      registeredAtMs: Infinity,
      isResumed: false,
      endedAtMs: Infinity,
      closeCode: null,
      markers: [],
      received: [],
    };
    this.connections.push(connection);
    return connection;
  }

  /** A message is about to be sent; the answer is the number that it has to carry. */
  send(from: ConnectionRecord, to: string | null, size: number): number {
    const ofSender = this.#byNumber.get(from.id) ?? [];
    this.#byNumber.set(from.id, ofSender);
    const message = {
      from,
      to,
      n: ofSender.length,
      size,
      sentAtMs: performance.now(),
      takenAtMs: Infinity,
      deliveredTo: [],
      deliveredAtMs: Infinity,
    };
    ofSender.push(message);
    this.messages.push(message);
    const untaken = this.#untaken.get(from);
    if (untaken) untaken.push(message);
    else this.#untaken.set(from, [message]);
    return message.n;
  }

  /** A message has come. */
  receive(at: ConnectionRecord, from: string, n: number, size: number): void {
    const message = this.#byNumber.get(from)?.[n];
    if (message === undefined) {
      this.oddities.push(`${at.id} got a message ${n} from ${from}, which never sent it`);
      return;
    }
    const isForMe = message.to === null ? from !== at.id : message.to === at.id;
    if (!isForMe) this.oddities.push(`${at.id} got ${name(message)}`);
    if (size !== message.size) this.oddities.push(`${at.id} got ${name(message)} changed`);
    if (message.deliveredTo.includes(at.id)) this.repeats.push({ message, at });
    const receivedAtMs = performance.now();
    message.deliveredTo.push(at.id);
    message.deliveredAtMs = Math.min(message.deliveredAtMs, receivedAtMs);
    at.received.push({ message, receivedAtMs });
  }

  /** A message of a connection to itself is back. */
  returned(at: ConnectionRecord, sentAtMs: number): void {
    const returnedAtMs = performance.now();
    at.markers.push({ sentAtMs, returnedAtMs });
    const untaken = this.#untaken.get(at) ?? [];
    const after = untaken.findIndex((message) => message.sentAtMs > sentAtMs);
    const taken = untaken.splice(0, after === -1 ? untaken.length : after);
    for (const message of taken) message.takenAtMs = returnedAtMs;
  }

  /** Records an error notice. */
  reported(at: ConnectionRecord, code: string, target: string | null): void {
    this.errors.push({ at, code, target, receivedAtMs: performance.now() });
  }

  /** Nothing has come since `sinceMs`, and the client has stopped to wait. */
  silent(url: string, what: string, sinceMs: number): void {
    this.silences.push({ url, what, sinceMs, untilMs: performance.now() });
  }
}

/** `message 7 from alice to bob` */
export function name({ from, to, n }: MessageRecord): string {
  return `message ${n} from ${from.id} to ${to ?? "all"}`;
}
