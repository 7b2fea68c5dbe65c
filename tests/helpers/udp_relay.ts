/** A relay for UDP on this machine that can be cut, for the paths between peer connections. */

import { createSocket, type Socket } from "node:dgram";

export class UdpRelay implements AsyncDisposable {
  /** Sockets by the address and port of the peer in whose place they send. */
  readonly #sockets = new Map<string, Promise<Socket>>();
  /** True if packets are dropped. */
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
    const [, , protocol, , address, port] = parts;
    if (protocol?.toLowerCase() !== "udp" || !address?.includes(".")) return null;
    parts[5] = String((await this.#socketOf(address, Number(port))).address().port);
    return JSON.stringify({ ...message, candidate: parts.join(" ") });
  }

  #socketOf(address: string, port: number): Promise<Socket> {
    const key = `${address}:${port}`;
    const bound = this.#sockets.get(key) ?? this.#bind(address, port);
    this.#sockets.set(key, bound);
    return bound;
  }

  #bind(address: string, port: number): Promise<Socket> {
    const socket = createSocket("udp4");
    socket.on("error", () => {}); // a peer that has closed its port
    socket.on("message", async (packet, source) => {
      if (this.isCut) return;
      const sender = await this.#socketOf(source.address, source.port);
      sender.send(packet, port, address);
    });
    return new Promise((resolve) => socket.bind(0, () => resolve(socket)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isCut = true;
    for (const bound of this.#sockets.values()) {
      const socket = await bound;
      await new Promise<void>((resolve) => socket.close(() => resolve()));
    }
  }
}
