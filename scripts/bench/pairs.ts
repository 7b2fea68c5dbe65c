/** Scenario: many pairs of clients, in each of them one message in flight. */

import type { Client, Driver } from "./driver.ts";
import { NumberedFrame } from "./frames.ts";
import { addressed, Inspector } from "./messages.ts";
import type { Scenario, Session } from "./scenario.ts";
import type { ServerProcess } from "./server_process.ts";

const PAIRS = 64;

/** @param makeMessage what one of a pair sends to the other */
export function pairs(
  name: string,
  what: string,
  makeMessage: () => Readonly<Record<string, unknown>>,
): Scenario {
  return {
    name,
    what: `${what}, one in flight on each of ${PAIRS} pairs`,
    metrics: [{ name: "cpu", unit: "µs" }],
    prepare: (driver, server) => new PairsSession(driver, server, makeMessage()),
  };
}

class PairsSession implements Session {
  readonly #driver: Driver;
  readonly #server: ServerProcess;
  readonly #pairs: readonly Pair[];
  #isSending = false;

  constructor(driver: Driver, server: ServerProcess, message: Readonly<Record<string, unknown>>) {
    this.#driver = driver;
    this.#server = server;
    const ids = Array.from({ length: PAIRS }, (_, index) => String(index).padStart(3, "0"));
    const senders = driver.openAll(server.port, ids.map((id) => `sender__${id}`));
    const receivers = driver.openAll(server.port, ids.map((id) => `receive_${id}`));
    this.#pairs = senders.map((sender, index) => {
      const pair = new Pair(sender, receivers[index]!, message);
      pair.receiver.onMessage = (bytes, start, end) => {
        pair.take(bytes, start, end);
        if (this.#isSending) this.#send(pair);
      };
      return pair;
    });
  }

  run(durationMs: number) {
    const before = this.#delivered();
    this.#server.takeCpuNs();
    this.#isSending = true;
    for (const pair of this.#pairs) this.#send(pair);
    const until = performance.now() + durationMs;
    while (performance.now() < until) this.#driver.poll(10);
    this.#isSending = false;
    this.#driver.waitUntil(() => this.#pairs.every((pair) => pair.sent === pair.received));
    return { cpu: this.#server.takeCpuNs() / 1000 / (this.#delivered() - before) };
  }

  #send(pair: Pair): void {
    this.#driver.send(pair.sender, pair.frame.with(++pair.sent));
  }

  #delivered(): number {
    return this.#pairs.reduce((sum, { received }) => sum + received, 0);
  }

  end(): void {
    this.#driver.closeAll(this.#pairs.flatMap(({ sender, receiver }) => [sender, receiver]));
  }
}

class Pair {
  readonly frame: NumberedFrame;
  readonly #inspector: Inspector;
  sent = 0;
  received = 0;

  constructor(
    readonly sender: Client,
    readonly receiver: Client,
    message: Readonly<Record<string, unknown>>,
  ) {
    this.frame = new NumberedFrame(addressed(message, receiver.id));
    this.#inspector = new Inspector(message, [sender.id]);
  }

  take(bytes: Uint8Array, start: number, end: number): void {
    const number = this.#inspector.inspect(bytes, start, end);
    if (number !== ++this.received) {
      throw new Error(`message ${number} came in place of ${this.received}`);
    }
  }
}
