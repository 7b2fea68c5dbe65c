/** Events for tests: none, or a record of them. */

import type { Events } from "../../lib/events.ts";

export const noEvents: Events = {
  connected() {},
  disconnected() {},
  registered() {},
  held() {},
  unregistered() {},
  sent() {},
  kept() {},
  keptDelivered() {},
  broadcast() {},
  failed() {},
  closing() {},
  clusterJoined() {},
  clusterLost() {},
  listenerFailed() {},
  crashed(where, error) {
    throw new Error(`crashed: ${where}`, { cause: error });
  },
};

/** Events that are written down as `name detail`, and awaited by that. */
export class RecordedEvents implements Events {
  readonly lines: string[] = [];
  readonly #waiting = new Map<string, () => void>();

  #put(line: string): void {
    this.lines.push(line);
    this.#waiting.get(line)?.();
    this.#waiting.delete(line);
  }

  /** Resolves once `line` has been recorded. */
  async happened(line: string): Promise<void> {
    if (this.lines.includes(line)) return;
    await new Promise<void>((resolve) => this.#waiting.set(line, resolve));
  }

  connected = () => this.#put("connected");
  disconnected = () => this.#put("disconnected");
  registered: Events["registered"] = ({ id }) => this.#put(`registered ${id}`);
  held: Events["held"] = ({ id }) => this.#put(`held ${id}`);
  unregistered: Events["unregistered"] = ({ id }) => this.#put(`unregistered ${id}`);
  sent: Events["sent"] = ({ id }, targetId) => this.#put(`sent ${id} ${targetId}`);
  kept: Events["kept"] = ({ id }, targetId) => this.#put(`kept ${id} ${targetId}`);
  keptDelivered: Events["keptDelivered"] = ({ id }) => this.#put(`keptDelivered ${id}`);
  broadcast: Events["broadcast"] = ({ id }, count) => this.#put(`broadcast ${id} ${count}`);
  failed: Events["failed"] = (code) => this.#put(`failed ${code}`);
  closing: Events["closing"] = (reason) => this.#put(`closing ${reason}`);
  clusterJoined = () => this.#put("clusterJoined");
  clusterLost = () => this.#put("clusterLost");
  listenerFailed = () => this.#put("listenerFailed");
  crashed: Events["crashed"] = (where, error) => this.#put(`crashed ${where} ${error}`);
}
