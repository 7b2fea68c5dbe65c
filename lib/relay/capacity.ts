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

/** Counts connections, or held IDs, by address. */
class AddressCounter {
  readonly #counts = new Map<string, number>();
  size = 0;

  get(address: string): number {
    return this.#counts.get(networkOf(address)) ?? 0;
  }

  change(address: string, by: 1 | -1, countsAddresses: boolean): void {
    this.size += by;
    if (!countsAddresses) return;
    const network = networkOf(address);
    const count = (this.#counts.get(network) ?? 0) + by;
    if (count > 0) this.#counts.set(network, count);
    else this.#counts.delete(network);
  }
}

export class Capacity {
  readonly #options: CapacityOptions;
  readonly #connections = new AddressCounter();
  readonly #held = new AddressCounter();

  constructor(options: CapacityOptions) {
    this.#options = options;
  }

  /** Counts a connection that has opened (1) or ended (-1). */
  countConnection(address: string, by: 1 | -1): void {
    this.#connections.change(address, by, this.#options.maxConnectionsPerIp > 0);
  }

  /** Counts an ID that is held (1) or no longer held (-1). */
  countHeld(address: string, by: 1 | -1): void {
    this.#held.change(address, by, this.#options.maxConnectionsPerIp > 0);
  }

  /** Upper bound of the IDs that are held. */
  get maxHeld(): number {
    const { maxConnections } = this.#options;
    return maxConnections > 0 ? Math.max(1, Math.floor(maxConnections / 2)) : Infinity;
  }

  /** Returns whether one more connection may open. Held IDs do not count, because their owners need a connection to resume. */
  get hasCapacityForConnection(): boolean {
    const { maxConnections } = this.#options;
    return maxConnections === 0 || this.#connections.size < maxConnections;
  }

  /** Returns whether one more connection from this address may open. */
  hasCapacityForAddress(address: string): boolean {
    const { maxConnectionsPerIp } = this.#options;
    return maxConnectionsPerIp === 0 || this.#connections.get(address) < maxConnectionsPerIp;
  }

  /**
   * Checks whether a client that does not resume may register. Its connection has been counted.
   *
   * @param heldAddress the address of the held ID that it takes over; null if it takes none
   * @throws {ProtocolError} `server_full`
   */
  checkClient(address: string, heldAddress: string | null): void {
    const { maxConnections, maxConnectionsPerIp } = this.#options;
    const released = heldAddress === null ? 0 : 1;
    if (
      maxConnections > 0 && this.#connections.size + this.#held.size - released > maxConnections
    ) {
      throw serverFull(`${maxConnections} clients are connected or may resume (--max-connections)`);
    }
    if (maxConnectionsPerIp === 0) return;
    const releasedHere = heldAddress !== null && networkOf(heldAddress) === networkOf(address);
    const count = this.#connections.get(address) + this.#held.get(address) - Number(releasedHere);
    if (count <= maxConnectionsPerIp) return;
    throw serverFull(
      `${maxConnectionsPerIp} clients of this address are connected or may resume ` +
        "(--max-connections-per-ip)",
    );
  }
}

function serverFull(reason: string): ProtocolError {
  return new ProtocolError("server_full", `The server is full: ${reason}. Come back later.`);
}

/** Limits the memory of all clients, and of the clients of each network. */
export class MemoryBudget {
  readonly #bytesByNetwork = new Map<string, number>();
  readonly #maxBytes: number;
  readonly #maxBytesPerNetwork: number;
  #bytes = 0;

  constructor(maxBytes: number, maxBytesPerNetwork: number) {
    this.#maxBytes = maxBytes;
    this.#maxBytesPerNetwork = maxBytesPerNetwork;
  }

  hasCapacityFor(network: string, bytes: number): boolean {
    return this.#bytes + bytes <= this.#maxBytes &&
      (this.#bytesByNetwork.get(network) ?? 0) + bytes <= this.#maxBytesPerNetwork;
  }

  /** Adds bytes, which may be negative. */
  count(network: string, bytes: number): void {
    this.#bytes += bytes;
    const sum = (this.#bytesByNetwork.get(network) ?? 0) + bytes;
    if (sum > 0) this.#bytesByNetwork.set(network, sum);
    else this.#bytesByNetwork.delete(network);
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
