/** Limits connections, clients and memory. A held ID counts as a client. */

import { Buffer } from "node:buffer";
import { isIP } from "node:net";
import { ProtocolError } from "./vocabulary.ts";

export interface CapacityOptions {
  /** Connections and held IDs; 0: no limit. */
  readonly maxConnections: number;
  /** Connections and held IDs of one address, of one /64 with IPv6; 0: no limit. */
  readonly maxConnectionsPerIp: number;
}

/** Sums of a quantity, by network and in all. */
class NetworkSums {
  readonly #sums = new Map<string, number>();
  total = 0;

  get(network: string): number {
    return this.#sums.get(network) ?? 0;
  }

  /** Adds an amount, which may be negative. */
  add(network: string, amount: number): void {
    this.total += amount;
    const sum = this.get(network) + amount;
    if (sum > 0) this.#sums.set(network, sum);
    else this.#sums.delete(network);
  }
}

export class Capacity {
  readonly #max: number;
  readonly #maxPerNetwork: number;
  readonly #connections = new NetworkSums();
  readonly #held = new NetworkSums();

  constructor({ maxConnections, maxConnectionsPerIp }: CapacityOptions) {
    this.#max = maxConnections || Infinity;
    this.#maxPerNetwork = maxConnectionsPerIp || Infinity;
  }

  /** Counts a connection that has opened (1) or ended (-1). */
  countConnection(address: string, by: 1 | -1): void {
    this.#connections.add(this.#networkOf(address), by);
  }

  /** Counts an ID that is held (1) or no longer held (-1). */
  countHeld(address: string, by: 1 | -1): void {
    this.#held.add(this.#networkOf(address), by);
  }

  /** Upper bound of the IDs that are held. */
  get maxHeld(): number {
    return Math.max(1, Math.floor(this.#max / 2));
  }

  /** Returns whether one more connection may open. Held IDs do not count, because their owners need a connection to resume. */
  get hasCapacityForConnection(): boolean {
    return this.#connections.total < this.#max;
  }

  /** Returns whether one more connection from this address may open. */
  hasCapacityForAddress(address: string): boolean {
    return this.#connections.get(this.#networkOf(address)) < this.#maxPerNetwork;
  }

  /**
   * Checks whether a client that does not resume may register. Its connection has been counted.
   *
   * @param heldAddress the address of the held ID that it takes over; null if it takes none
   * @throws {ProtocolError} `server_full`
   */
  checkClient(address: string, heldAddress: string | null): void {
    const released = Number(heldAddress !== null);
    if (this.#connections.total + this.#held.total - released > this.#max) {
      throw serverFull(this.#max, "", "--max-connections");
    }
    const network = this.#networkOf(address);
    const releasedHere = Number(heldAddress !== null && this.#networkOf(heldAddress) === network);
    const count = this.#connections.get(network) + this.#held.get(network) - releasedHere;
    if (count <= this.#maxPerNetwork) return;
    throw serverFull(this.#maxPerNetwork, " of this address", "--max-connections-per-ip");
  }

  /** Returns the network that an address counts for: one for all if addresses have no limit. */
  #networkOf(address: string): string {
    return this.#maxPerNetwork === Infinity ? "" : networkOf(address);
  }
}

function serverFull(limit: number, which: string, option: string): ProtocolError {
  const clients = limit === 1 ? `1 client${which} is` : `${limit} clients${which} are`;
  const message = `The server is full: ${clients} connected or may resume (${option}). ` +
    "Come back later.";
  return new ProtocolError("server_full", message);
}

/** Limits the memory of all clients, and of the clients of each network. */
export class MemoryBudget {
  readonly #bytes = new NetworkSums();
  readonly #maxBytes: number;
  readonly #maxBytesPerNetwork: number;

  constructor(maxBytes: number, maxBytesPerNetwork: number) {
    this.#maxBytes = maxBytes;
    this.#maxBytesPerNetwork = maxBytesPerNetwork;
  }

  hasCapacityFor(network: string, bytes: number): boolean {
    return this.#bytes.total + bytes <= this.#maxBytes &&
      this.#bytes.get(network) + bytes <= this.#maxBytesPerNetwork;
  }

  /** Adds bytes, which may be negative. */
  count(network: string, bytes: number): void {
    this.#bytes.add(network, bytes);
  }
}

/** Returns an upper bound of a string's memory: V8 takes one byte a character, or two if any is beyond Latin-1. */
export function memoryOf(text: string, utf8Bytes = Buffer.byteLength(text)): number {
  return utf8Bytes === text.length ? text.length : 2 * text.length;
}

/**
 * Returns the network that stands for one customer: an IPv4 address, or the first 64 bits of an IPv6 address. A customer
 * gets at least a /64, and may use every address in it (RFC 6177).
 */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return address;
  const [left = "", right] = address.replace(/%.*/, "").split("::");
  const leading = left === "" ? [] : left.split(":");
  const trailing = right ? right.split(":") : [];
  const zeros = Array<string>(Math.max(0, 8 - leading.length - trailing.length)).fill("0");
  const groups = [...leading, ...zeros, ...trailing].slice(0, 4);
  return `${groups.map((group) => parseInt(group, 16).toString(16)).join(":")}::/64`;
}
