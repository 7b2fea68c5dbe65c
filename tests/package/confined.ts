/** Runs programs in a root of their own, as containers and systemd do. */

import assert from "node:assert/strict";
import { ServingProgram } from "../helpers/program.ts";

/**
 * Runs the program as PID 1 of a namespace, as a user without rights, on a root that is read-only.
 *
 * @param $0 the root
 */
const SCRIPT = `
set -e
mount --bind "$0" "$0"
mount -t proc proc "$0/proc"
for device in null urandom; do mount --bind /dev/$device "$0/dev/$device"; done
mount -o remount,bind,ro "$0"
exec setpriv --no-new-privs /usr/sbin/chroot --userspec="$1:$1" --groups= "$0" "\${@:2}"
`;

/** The command that runs a program in `root`, a folder with `proc/`, `dev/null` and `dev/urandom`. */
export function confine(root: string, uid: number, ...program: readonly string[]): string[] {
  const namespaces = ["--mount", "--pid", "--fork", "--kill-child"];
  return ["/usr/bin/unshare", ...namespaces, "/bin/bash", "-c", SCRIPT, root, `${uid}`, ...program];
}

/** Serves in a root of its own. */
export class ConfinedServer implements AsyncDisposable {
  readonly #program: ServingProgram;
  /** The process ID as the machine counts it; in its own namespace it is 1. */
  readonly pid: number;

  private constructor(program: ServingProgram) {
    this.#program = program;
    const { pid } = program;
    this.pid = Number(Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`));
  }

  static async start(command: readonly string[], env: Record<string, string>) {
    return new ConfinedServer(await ServingProgram.start([], { command, env }));
  }

  get httpUrl(): string {
    return this.#program.httpUrl;
  }

  get url(): string {
    return this.#program.url;
  }

  /** Sends a signal; as to every PID 1, the kernel delivers only one that the program listens for. */
  signal(signal: Deno.Signal): void {
    Deno.kill(this.pid, signal);
  }

  async logged(text: string): Promise<void> {
    await this.#program.logged(text);
  }

  /** Resolves with the exit status, once it has ended. */
  async ended(): Promise<number> {
    return (await this.#program.ended()).status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#program.trySignal("SIGKILL"); // and the kernel kills the child with it
    await this.#program.ended();
  }
}

/** Runs a command to its end, and returns what it has printed. */
export async function succeed(
  [program, ...args]: readonly string[],
  env: Record<string, string> = {},
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program!, { args, env }).output();
  const decoder = new TextDecoder();
  const printed = decoder.decode(stdout) + decoder.decode(stderr);
  assert.ok(success, printed);
  return printed;
}
