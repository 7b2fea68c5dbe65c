/** Finds a client's address behind proxies, and checks the origin of a page. */

import { isIP } from "node:net";
import type { Refusal } from "./handshake.ts";

/** Upper bound of a header's value in a message, in characters. */
const MAX_QUOTED_CHARS = 200;
/** Upper bound of the entries of X-Forwarded-For that are read, from the right. A head has space for 7,000. */
const MAX_HOPS = 32;

/** Returns whether an address is a trusted proxy's. */
type ProxyTest = (address: string) => boolean;

/**
 * Returns the address of a client. If the peer is a trusted proxy, it is the first of {@link MAX_HOPS} in X-Forwarded-For,
 * from the right, that is not trusted itself. Without that header, it is the value of X-Real-IP. IPv4 in IPv6
 * (`::ffff:1.2.3.4`) is written as IPv4.
 *
 * @param isTrusted null if no proxy is trusted
 * @param onMalformed receives an entry that is no address; the result is then the address of the proxy that wrote it
 */
export function clientAddress(
  peer: string,
  headers: Headers,
  isTrusted: ProxyTest | null,
  onMalformed: (entry: string) => void,
): string {
  let address = withoutMapping(peer);
  if (isTrusted === null) return address;
  for (const entry of isTrusted(address) ? forwardedBy(headers).reverse() : []) {
    const hop = readHop(entry);
    if (hop === null) {
      onMalformed(entry.slice(0, MAX_QUOTED_CHARS));
      return address;
    }
    address = hop;
    if (!isTrusted(address)) return address;
  }
  return address;
}

/** Entries of the header, without empty ones (RFC 9110 section 5.6.1.2). */
function forwardedBy(headers: Headers): string[] {
  const text = headers.get("x-forwarded-for") || headers.get("x-real-ip") || "";
  const entries = text.split(",").slice(-MAX_HOPS).map((entry) => entry.trim());
  return entries.filter((entry) => entry !== "");
}

/** Reads `a.b.c.d`, `a.b.c.d:port`, an IPv6 address, `[v6]` or `[v6]:port`. */
function readHop(entry: string): string | null {
  const [, ipv6, ipv4] = /^(?:\[([^\]]+)\]|(\d+\.\d+\.\d+\.\d+))(?::\d{1,5})?$/.exec(entry) ?? [];
  const address = ipv6 ?? ipv4 ?? entry;
  return isIP(address) === 0 || address.includes("%") ? null : withoutMapping(address);
}

function withoutMapping(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}

/**
 * Refuses a page whose origin is not allowed. A request without Origin is not a browser's, and may connect.
 *
 * @param allowed origins, or patterns such as `https://*.example.org`; undefined allows any
 */
export function checkOrigin(
  headers: Headers,
  allowed: readonly string[] | undefined,
): Refusal | null {
  const origin = allowed === undefined ? null : headers.get("origin");
  if (origin === null || allowed?.some((pattern) => matches(origin, pattern))) return null;
  const message = `Origin ${origin.slice(0, MAX_QUOTED_CHARS)} is not allowed.`;
  return { status: 403, message };
}

function matches(origin: string, pattern: string): boolean {
  const [scheme, hosts] = pattern.split("*");
  if (hosts === undefined) return origin === pattern;
  return origin.startsWith(scheme!) && origin.endsWith(hosts) &&
    /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(origin.slice(scheme!.length, -hosts.length));
}
