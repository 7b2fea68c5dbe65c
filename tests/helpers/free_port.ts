/** A port for a program that cannot choose one itself. */

/** Returns a port that is free now: for TCP, IPv4 and IPv6, and so most likely for UDP. */
export function findFreePort(): number {
  using listener = Deno.listen({ hostname: "::", port: 0 });
  return listener.addr.port;
}
