/** Scenario: one room of clients, some of which send to all others. */

import type { Client, Driver } from "./driver.ts";
import { NumberedFrame } from "./frames.ts";
import { addressed, candidate, Inspector, NUMBERS_PER_SENDER } from "./messages.ts";
import type { Scenario, Session } from "./scenario.ts";
import type { ServerProcess } from "./server_process.ts";

const CLIENTS = 50;
/** More than one, so that the server is never without work. */
const SENDERS = 4;

export const broadcast: Scenario = {
  name: "broadcast",
  what: `broadcasts of a candidate in a room of ${CLIENTS}, one in flight from each of ${SENDERS}`,
  metrics: [
    { name: "deliveries", unit: "/s", moreIsBetter: true },
    { name: "cpu", unit: "µs" },
  ],
  prepare: (driver, server) => new BroadcastSession(driver, server),
};

class BroadcastSession implements Session {
  readonly #driver: Driver;
  readonly #server: ServerProcess;
  readonly #clients: readonly Client[];
  readonly #senders: readonly Sender[];
  readonly #inspector: Inspector;
  #delivered = 0;
  #isSending = false;

  constructor(driver: Driver, server: ServerProcess) {
    this.#driver = driver;
    this.#server = server;
    const ids = Array.from({ length: CLIENTS }, (_, index) => `room__${1000 + index}`);
    this.#clients = driver.openAll(server.port, ids);
    this.#senders = this.#clients.slice(0, SENDERS).map((client, index) =>
      new Sender(client, index * NUMBERS_PER_SENDER)
    );
    this.#inspector = new Inspector(candidate(), this.#senders.map(({ client }) => client.id));
    for (const client of this.#clients) this.#attend(client);
  }

  #attend(client: Client): void {
    const received = this.#senders.map(() => 0);
    client.onMessage = (bytes, start, end) => {
      const number = this.#inspector.inspect(bytes, start, end);
      const index = Math.floor(number / NUMBERS_PER_SENDER);
      const sender = this.#senders[index]!;
      if (number !== sender.firstNumber + ++received[index]!) {
        throw new Error(`${client.id} got message ${number} out of order`);
      }
      this.#delivered++;
      if (--sender.missing === 0 && this.#isSending) this.#send(sender);
    };
  }

  run(durationMs: number) {
    const before = this.#delivered;
    this.#server.takeCpuNs();
    const startedAt = performance.now();
    this.#isSending = true;
    for (const sender of this.#senders) this.#send(sender);
    while (performance.now() < startedAt + durationMs) this.#driver.poll(10);
    this.#isSending = false;
    this.#driver.waitUntil(() => this.#senders.every(({ missing }) => missing === 0));
    const seconds = (performance.now() - startedAt) / 1000;
    const deliveries = this.#delivered - before;
    const cpuNs = this.#server.takeCpuNs();
    return { deliveries: deliveries / seconds, cpu: cpuNs / 1000 / deliveries };
  }

  #send(sender: Sender): void {
    sender.missing = CLIENTS - 1;
    this.#driver.send(sender.client, sender.frame.with(sender.firstNumber + ++sender.sent));
  }

  end(): void {
    this.#driver.closeAll(this.#clients);
  }
}

class Sender {
  readonly frame = new NumberedFrame(addressed(candidate(), null));
  sent = 0;
  /** How many have not received the message that is in flight. */
  missing = 0;

  constructor(readonly client: Client, readonly firstNumber: number) {}
}
