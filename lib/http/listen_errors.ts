/** Explains why a port cannot be listened on, and what to do. */

import { messageOf } from "../log.ts";

/** The number of ports that are tried for a suggestion. */
const MAX_TRIED = 20;

/**
 * Explains an error of listening.
 *
 * @param option returns the option that sets another port
 * @param isFree returns whether another port could be listened on
 */
export function explainListening(
  error: unknown,
  port: number,
  isFree: (port: number) => boolean,
  option = (port: number) => `--port ${port}`,
): string {
  const reason = messageOf(error);
  if (error instanceof Deno.errors.AddrInUse) {
    const candidates = Array.from({ length: MAX_TRIED }, (_, n) => port + 10 + n);
    const free = candidates.find((candidate) => candidate < 65536 && isFree(candidate));
    const advice = free === undefined ? "give another one" : `try ${option(free)}`;
    return `the port is in use by another program: stop that, or ${advice}`;
  }
  if (error instanceof Deno.errors.PermissionDenied && port > 0 && port < 1024) {
    return `${reason}. A port below 1024 needs the capability CAP_NET_BIND_SERVICE. Put ` +
      "AmbientCapabilities=CAP_NET_BIND_SERVICE into the systemd unit, run setcap " +
      "cap_net_bind_service=+ep on the executable, or take a port of 1024 or above";
  }
  return reason;
}

/** Returns whether a port can be listened on. */
export function isPortFree(hostname: string, port: number): boolean {
  try {
    Deno.listen({ hostname, port }).close();
    return true;
  } catch {
    return false;
  }
}
