/** Where a client comes from, also behind proxies that are trusted to say it. */

import { BlockList, isIP } from "node:net";

/** What a bare `--trust-proxy` trusts: loopback, and private ranges (RFC 1918, RFC 4193, link-local). */
const PRIVATE_NETWORKS = [
  "127.0.0.0/8",
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "169.254.0.0/16",
  "::1/128",
  "fc00::/7",
  "fe80::/10",
];

/** Tells whether an address is one of a set. */
export type AddressSet = (address: string) => boolean;

/**
 * Reads the value of `--trust-proxy`: addresses and networks, or `1`/`true` for loopback and private ranges;
 * null for `0`/`false`.
 *
 * @throws {RangeError} that says what it takes
 */
export function readTrustedProxies(text: string): AddressSet | null {
  if (text === "0" || text === "false") return null;
  const isBare = text === "1" || text === "true";
  const networks = new BlockList();
  for (const entry of isBare ? PRIVATE_NETWORKS : text.split(",")) {
    addNetwork(networks, entry.trim());
  }
  return (address) => isIP(address) !== 0 && networks.check(address, family(address));
}

function addNetwork(networks: BlockList, entry: string): void {
  const [address, prefix, ...rest] = entry.split("/");
  const version = entry.includes("%") ? 0 : isIP(address ?? ""); // a zone makes no network
  const bits = version === 4 ? 32 : 128;
  const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : NaN;
  if (address === undefined || version === 0 || !(length <= bits) || rest.length > 0) {
    throw new RangeError(
      "a comma-separated list of addresses and networks such as 10.0.0.7,192.168.0.0/16",
    );
  }
  networks.addSubnet(address, length, family(address));
}

function family(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}

/**
 * A client's address: the last entry of X-Forwarded-For where the request comes from a trusted proxy, else the
 * address of the connection itself. IPv4 in IPv6 (`::ffff:1.2.3.4`) is written as IPv4.
 */
export function clientAddress(
  peer: string,
  forwardedFor: string | null,
  trusted: AddressSet | null,
): string {
  const address = withoutMapping(peer);
  if (forwardedFor === null || trusted === null || !trusted(address)) return address;
  const last = forwardedFor.slice(forwardedFor.lastIndexOf(",") + 1).trim();
  return isIP(last) === 0 ? address : withoutMapping(last);
}

function withoutMapping(address: string): string {
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? [];
  return mapped ?? address;
}

/**
 * Who an address belongs to, as far as an address can tell: IPv4 as it is, of IPv6 the first 64 bits. That much a single
 * customer gets at the least, and may use every address in it (RFC 6177).
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
