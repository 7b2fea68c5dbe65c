/** Which addresses count as one. */

import { isIP } from "node:net";

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
