/** A well-behaved pair in a thread of its own, so that the soak's own work does not count in its times. */

import { Pair, type PairTimes } from "../../tests/helpers/pair.ts";

/** Exchanges messages until it is finished. Rejects if one is lost. */
export class MeasuredPair {
  readonly #worker = new Worker(import.meta.url, { type: "module" });

  constructor(url: string) {
    this.#worker.postMessage(url);
  }

  async finish(): Promise<PairTimes> {
    const { promise, resolve, reject } = Promise.withResolvers<PairTimes>();
    this.#worker.onmessage = ({ data }) => resolve(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
    this.#worker.postMessage("finish");
    return await promise.finally(() => this.#worker.terminate());
  }
}

/** The global object of a worker. */
interface WorkerScope {
  onmessage: (event: MessageEvent<string>) => void;
  postMessage(times: PairTimes): void;
}

if ("DedicatedWorkerGlobalScope" in globalThis) {
  const scope = globalThis as unknown as WorkerScope;
  let pair: Promise<Pair>;
  scope.onmessage = async ({ data }) => {
    if (data !== "finish") return void (pair = Pair.start(data, { room: "pair" }));
    scope.postMessage(await (await pair).finish());
  };
}
