/** Address of the admin listener. */

import { isIP, isIPv4 } from "node:net";

export interface AdminAddress {
  /** A name or an IP address, without brackets. */
  readonly hostname: string;
  /** 0 picks a free one. */
  readonly port: number;
}

/** Address without `--admin`, if it is free. */
export const DEFAULT_ADMIN_ADDRESS: AdminAddress = { hostname: "127.0.0.1", port: 8766 };

const MAX_PORT = 65535;

/**
 * Reads the value of `--admin`; null for `off`.
 *
 * @throws {RangeError} that says what it takes
 */
export function readAdminAddress(text: string): AdminAddress | null {
  if (text === "off") return null;
  const [, ipv6, name, digits] = /^(?:\[([^\]]+)\]|([^\s:/[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const hostname = ipv6 ?? name;
  const port = Number(digits);
  if (hostname === undefined || port > MAX_PORT || (ipv6 !== undefined && isIP(ipv6) !== 6)) {
    throw new RangeError("an address with a port such as 127.0.0.1:8766 or [::1]:8766, or off");
  }
  return { hostname, port };
}

/** Returns whether only this machine can reach a listener there. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "::1" ||
    (isIPv4(hostname) && hostname.startsWith("127."));
}

/** Writes an address for an option or a URL. */
export function writeAddress({ hostname, port }: AdminAddress): string {
  return `${isIP(hostname) === 6 ? `[${hostname}]` : hostname}:${port}`;
}
