/** Tools that a test needs and a machine may not have. */

/** Debian's own Python, which its python3-… packages are for. There may be another one on the path. */
export const DEBIAN_PYTHON = "/usr/bin/python3";

/**
 * True if a test has to be left out because a tool is missing; says so. Under `CI=true` nothing is left out: there a
 * missing tool is a failure.
 *
 * @param hasTool whether the tool is there
 * @param what the tool and its package: `redis-server (Debian: redis-server)`
 */
export function isMissing(hasTool: boolean, what: string): boolean {
  if (hasTool) return false;
  if (Deno.env.get("CI") === "true") throw new Error(`CI needs ${what}`);
  console.info(`skipped: needs ${what}`);
  return true;
}

/** Returns whether a command is on the path. */
export function hasCommand(name: string): boolean {
  const path = Deno.env.get("PATH")?.split(":") ?? [];
  return path.some((folder) => isFile(`${folder}/${name}`));
}

/** Returns whether a command exists and succeeds. */
export function succeeds(command: string, ...args: readonly string[]): boolean {
  try {
    return new Deno.Command(command, { args: [...args] }).outputSync().success;
  } catch {
    return false;
  }
}

export function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
