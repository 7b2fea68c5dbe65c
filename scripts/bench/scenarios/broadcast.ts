/** Scenario: a room of clients, of which some send to all others. */

import type { Client, Driver } from "../driver.ts";
import { addressed, candidate } from "../messages.ts";
import { Inspector, NumberedFrame, NUMBERS_PER_SENDER } from "../numbered.ts";
import type { Measured, Sample, Scenario, Session } from "./scenario.ts";

const CLIENTS = 50;
/** More than one, so that the server is never without work. */
const SENDERS = 4;

export const broadcast: Scenario = {
  name: "broadcast",
  what: `a candidate to all in a room of ${CLIENTS}, one in flight from each of ${SENDERS}`,
  metrics: [
    { name: "rate", unit: "/s", label: "deliveries" },
    { name: "cpu", unit: "µs", label: "CPU for each delivery" },
  ],
  prepare(driver, server) {
    const clients = driver.openAll(server.port, memberIds(CLIENTS));
    return new BroadcastSession(driver, server, clients, SENDERS);
  },
};

/** All of one length. */
export function memberIds(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `member_${1000 + index}`);
}

/** The first few of some clients send to all others. */
export class BroadcastSession implements Session {
  readonly #driver: Driver;
  readonly #server: Measured;
  readonly #clients: readonly Client[];
  readonly #senders: readonly Sender[];
  readonly #inspector: Inspector;
  #delivered = 0;
  #isSending = false;

  constructor(driver: Driver, server: Measured, clients: readonly Client[], senders: number) {
    this.#driver = driver;
    this.#server = server;
    this.#clients = clients;
    this.#senders = clients.slice(0, senders)
      .map((client, index) => new Sender(client, index * NUMBERS_PER_SENDER));
    this.#inspector = new Inspector(candidate(), this.#senders.map(({ client }) => client.id));
    for (const client of this.#clients) this.#attend(client);
  }

  #attend(client: Client): void {
    const expected = this.#senders.map(({ firstNumber }) => firstNumber);
    client.onMessage = (bytes, start, end) => {
      const number = this.#inspector.inspect(bytes, start, end);
      const index = Math.floor(number / NUMBERS_PER_SENDER);
      if (number !== expected[index]!++) {
        throw new Error(`${client.id} got message ${number}, not ${expected[index]! - 1}`);
      }
      this.#delivered++;
      const sender = this.#senders[index]!;
      if (--sender.missing === 0 && this.#isSending) this.#send(sender);
    };
  }

  run(durationMs: number): Sample {
    const deliveredBefore = this.#delivered;
    this.#server.takeCpuNs();
    const startedAt = performance.now();
    this.#isSending = true;
    for (const sender of this.#senders) this.#send(sender);
    this.#driver.pollFor(durationMs);
    this.#isSending = false;
    this.#driver.waitUntil(() => this.#senders.every(({ missing }) => missing === 0));
    const wallMs = performance.now() - startedAt;
    const cpuNs = this.#server.takeCpuNs();
    const deliveries = this.#delivered - deliveredBefore;
    return {
      rate: deliveries / (wallMs / 1000),
      cpu: cpuNs / 1000 / deliveries,
      busy: cpuNs / 1e6 / wallMs,
    };
  }

  #send(sender: Sender): void {
    sender.missing = this.#clients.length - 1;
    this.#driver.send(sender.client, sender.frame.with(sender.nextNumber++));
  }

  end(): void {
    this.#driver.closeAll(this.#clients);
  }
}

class Sender {
  readonly frame = new NumberedFrame(addressed(candidate(), null));
  readonly client: Client;
  readonly firstNumber: number;
  nextNumber: number;
  /** The number of members that have not received the message in flight. */
  missing = 0;

  constructor(client: Client, firstNumber: number) {
    this.client = client;
    this.firstNumber = firstNumber;
    this.nextNumber = firstNumber;
  }
}
