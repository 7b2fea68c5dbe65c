/** Pairs of clients, of which one sends to the other. */

import type { Client, Driver } from "../driver.ts";
import type { Message } from "../messages.ts";
import { Inspector, NumberedFrame } from "../numbered.ts";
import type { Protocol } from "../protocol.ts";
import type { ServerProcess } from "../server_process.ts";
import type { Measured, Sample, Scenario, Session } from "./scenario.ts";

const PAIRS = 64;

/** Scenario: one message is in flight on each of many pairs, so that the server is never without work. */
export function pairs(name: string, what: string, message: Message): Scenario {
  return {
    name,
    what: `${what}, one in flight on each of ${PAIRS} pairs`,
    metrics: [{ name: "cpu", unit: "µs", label: "CPU for each message" }],
    prepare: (driver, server) =>
      new PairsSession(driver, server, connectPairs(driver, server, message, PAIRS), PAIRS),
  };
}

/** Keeps a number of messages in flight, the pairs taking turns. */
export class PairsSession implements Session {
  readonly #driver: Driver;
  readonly #server: Measured;
  readonly #pairs: readonly Pair[];
  readonly #inFlight: number;
  #next = 0;
  #sent = 0;
  #received = 0;
  #isSending = false;

  constructor(driver: Driver, server: Measured, pairs: readonly Pair[], inFlight: number) {
    this.#driver = driver;
    this.#server = server;
    this.#pairs = pairs;
    this.#inFlight = inFlight;
    for (const pair of pairs) {
      pair.onReceived = () => {
        this.#received++;
        if (this.#isSending) this.#send();
      };
    }
  }

  run(durationMs: number): Sample {
    const receivedBefore = this.#received;
    this.#server.takeCpuNs();
    const startedAt = performance.now();
    this.#isSending = true;
    for (let i = 0; i < this.#inFlight; i++) this.#send();
    this.#driver.pollFor(durationMs);
    this.#isSending = false;
    this.#driver.waitUntil(() => this.#received === this.#sent);
    const wallNs = 1e6 * (performance.now() - startedAt);
    const cpuNs = this.#server.takeCpuNs();
    return { cpu: cpuNs / 1000 / (this.#received - receivedBefore), busy: cpuNs / wallNs };
  }

  #send(): void {
    this.#pairs[this.#next]!.send(this.#driver);
    this.#next = (this.#next + 1) % this.#pairs.length;
    this.#sent++;
  }

  end(): void {
    this.#driver.closeAll(this.#pairs.flatMap(({ sender, receiver }) => [sender, receiver]));
  }
}

/** A sender and a receiver, which checks the content and the order of the messages. */
export class Pair {
  onReceived: () => void = () => {};
  readonly sender: Client;
  readonly receiver: Client;
  readonly #frame: NumberedFrame;
  #sent = 0;
  #received = 0;

  constructor(sender: Client, receiver: Client, message: Message, protocol: Protocol) {
    this.sender = sender;
    this.receiver = receiver;
    this.#frame = new NumberedFrame(protocol.addressed(message, receiver.id));
    const received = (message: Message, from: string) =>
      protocol.received(message, from, receiver.id);
    const inspector = new Inspector(message, [sender.id], received);
    receiver.onMessage = (bytes, start, end) => {
      const number = inspector.inspect(bytes, start, end);
      if (number !== ++this.#received) {
        throw new Error(`${receiver.id} got message ${number}, not ${this.#received}`);
      }
      this.onReceived();
    };
  }

  send(driver: Driver): void {
    driver.send(this.sender, this.#frame.with(++this.#sent));
  }
}

/** Placement of pairs, if not both clients are at one server and in the default room. */
interface PairsPlace {
  readonly receivers: ServerProcess;
  readonly room: string;
}

/** Connects two clients for each pair, with IDs of 11 characters. */
export function connectPairs(
  driver: Driver,
  server: ServerProcess,
  message: Message,
  count: number,
  place?: PairsPlace,
): Pair[] {
  const more = place === undefined ? {} : { room: place.room };
  const numbers = Array.from({ length: count }, (_, index) => String(index).padStart(4, "0"));
  const ids = (role: string) => numbers.map((number) => `${role}_${number}`);
  const senders = driver.openAll(server.port, ids("sender"), more);
  const receivers = driver.openAll((place?.receivers ?? server).port, ids("getter"), more);
  return senders.map((sender, index) =>
    new Pair(sender, receivers[index]!, message, driver.protocol)
  );
}
