/** A relay for UDP on loopback that can be cut, for the paths between peer connections. */

import { createSocket, type Socket } from "node:dgram";

const LOOPBACK = "127.0.0.1";

export class UdpRelay implements AsyncDisposable {
  /** For the port of each peer, the socket that the other peer sees in its place. */
  readonly #sockets = new Map<number, Promise<Socket>>();
  /** Whether packets are dropped. */
  isCut = false;

  /**
   * Rewrites a message of the negotiation, so that the path between both peers leads through this relay.
   *
   * @returns null for a candidate that the relay does not cover
   */
  async rewrite(text: string): Promise<string | null> {
    const message = JSON.parse(text);
    if (typeof message.sdp === "string") {
      message.sdp = message.sdp.replaceAll(/a=candidate:.*\r\n/g, "");
    }
    if (message.type !== "candidate") return JSON.stringify(message);
    const parts: string[] = message.candidate.split(" ");
    if (parts[2]?.toLowerCase() !== "udp" || parts[4] !== LOOPBACK) return null;
    parts[5] = String((await this.#socketOf(Number(parts[5]))).address().port);
    return JSON.stringify({ ...message, candidate: parts.join(" ") });
  }

  #socketOf(port: number): Promise<Socket> {
    let bound = this.#sockets.get(port);
    if (bound === undefined) {
      bound = this.#bind(port);
      this.#sockets.set(port, bound);
    }
    return bound;
  }

  #bind(port: number): Promise<Socket> {
    const socket = createSocket("udp4");
    socket.on("error", () => {}); // a peer that has closed its port
    socket.on("message", async (packet, { address, port: source }) => {
      if (this.isCut || address !== LOOPBACK) return;
      const sender = await this.#socketOf(source);
      sender.send(packet, port, LOOPBACK);
    });
    return new Promise((resolve) => socket.bind(0, LOOPBACK, () => resolve(socket)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isCut = true;
    for (const bound of this.#sockets.values()) {
      const socket = await bound;
      await new Promise<void>((resolve) => socket.close(() => resolve()));
    }
  }
}
