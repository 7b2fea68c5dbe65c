/** What the program asks the machine at its start: files, memory, address in the network. */

import process from "node:process";

/** Memory that the process can use, in bytes: the machine's, or the limit of its control group if that is lower. */
export function usableMemoryBytes(): number {
  try {
    const machineBytes = Deno.systemMemoryInfo().total;
    const limitBytes = process.constrainedMemory?.() || machineBytes; // Deno 2.4 does not have it
    return Math.min(machineBytes, limitBytes);
  } catch {
    return Infinity; // without the permission there is no default limit
  }
}

/** The machine's address in its network; null if it has none, or does not tell. */
export function networkAddress(): string | null {
  try {
    const addresses = Deno.networkInterfaces().filter(({ family }) => family === "IPv4")
      .map(({ address }) => address);
    return addresses.find((address) => !/^(127|169\.254)\./.test(address)) ?? null;
  } catch {
    return null;
  }
}

/**
 * Gives up what only the start needs: the environment, facts about the machine, and files.
 *
 * @param keepsReading whether certificates are to be read again; the runtime cannot narrow this to their files
 */
export function dropPermissions(keepsReading: boolean): void {
  // The Redis client reads variables whenever it connects: it finds none from now on.
  Object.defineProperty(process, "env", { value: {}, configurable: true });
  Deno.permissions.revokeSync({ name: "env" });
  Deno.permissions.revokeSync({ name: "sys" });
  if (!keepsReading) Deno.permissions.revokeSync({ name: "read" });
}
