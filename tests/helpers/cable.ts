/** Two machines on one, with cables between them that can be pulled: network namespaces (Linux). */

import type { Line } from "./proxy.ts";
import { isMissing } from "./tools.ts";

/** This machine's address at its first cable. */
export const NEAR = addressAt(0, "near");

/** Runs a command as root of a network of its own. */
export function inOwnNetwork(command: readonly string[]): readonly string[] {
  return ["unshare", "--user", "--map-root-user", "--net", ...command];
}

/** True if tests with {@link inOwnNetwork} have to be skipped here. */
export function isOwnNetworkMissing(): boolean {
  const what = "unshare and ip with user namespaces (Debian: util-linux, iproute2)";
  return isMissing(canHaveOwnNetwork(), what);
}

function canHaveOwnNetwork(): boolean {
  try {
    const [program, ...args] = inOwnNetwork(["ip", "link", "set", "lo", "up"]);
    return new Deno.Command(program!, { args, stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false; // no such command
  }
}

/**
 * Runs a script in a network of its own, to its end, and returns what it has printed.
 *
 * @throws {Error} with all that it has printed, if it fails
 */
export async function runInOwnNetwork(script: URL): Promise<string> {
  const [program, ...args] = inOwnNetwork([
    ...[Deno.execPath(), "run", "--allow-all"],
    script.pathname,
  ]);
  const { success, stdout, stderr } = await new Deno.Command(program!, { args }).output();
  const decoder = new TextDecoder();
  const printed = decoder.decode(stdout);
  if (!success) throw new Error(printed + decoder.decode(stderr));
  return printed.trim();
}

/** Brings loopback up, which a new network has switched off. */
export async function startLoopback(): Promise<void> {
  await run("ip", "link", "set", "lo", "up");
}

/** Another machine: a network that is there until it is disposed of. */
export class Machine implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
  }

  static async start(): Promise<Machine> {
    const [program, ...args] = inOwnNetwork(["sh", "-c", "echo there; exec cat"]);
    const process = new Deno.Command(program!, { args, stdin: "piped", stdout: "piped" }).spawn();
    const reader = process.stdout.getReader();
    await reader.read();
    await reader.cancel();
    return new Machine(process);
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** The command that runs a command there. */
  command(command: readonly string[]): readonly string[] {
    return ["nsenter", "--target", `${this.pid}`, "--net", ...command];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stdin.close();
    await this.#process.status;
  }
}

export class Cable implements Line {
  readonly #pid: string;
  readonly #number: number;

  private constructor(pid: number, number: number) {
    this.#pid = `${pid}`;
    this.#number = number;
  }

  /**
   * Leads from this network to that of a process, which has one of its own or is about to: unshare runs for a moment before.
   *
   * @param number which one it is, from 0 to 255
   */
  static async plugIn(pid: number, number = 0): Promise<Cable> {
    const networkOf = (pid: number | "self") => Deno.readLinkSync(`/proc/${pid}/ns/net`);
    while (networkOf(pid) === networkOf("self")) await new Promise((done) => setTimeout(done, 1));
    const cable = new Cable(pid, number);
    const [near, far] = [`near${number}`, `far${number}`];
    const ends = [near, "type", "veth", "peer", "name", far, "netns", `${pid}`];
    await run("ip", "link", "add", ...ends);
    await run("ip", "address", "add", `${cable.near}/24`, "dev", near);
    await run("ip", "link", "set", near, "up");
    await cable.#runThere("ip", "address", "add", `${cable.far}/24`, "dev", far);
    await cable.#runThere("ip", "link", "set", far, "up");
    return cable;
  }

  /** The address at this end. */
  get near(): string {
    return addressAt(this.#number, "near");
  }

  /** The address at the other end. */
  get far(): string {
    return addressAt(this.#number, "far");
  }

  /** Drops all packets from now on, in either direction, without a notice to either end. */
  async cut(): Promise<void> {
    await this.#runThere("ip", "link", "set", `far${this.#number}`, "down");
  }

  /** Plugs it in again. */
  async heal(): Promise<void> {
    await this.#runThere("ip", "link", "set", `far${this.#number}`, "up");
  }

  #runThere(...command: readonly string[]): Promise<void> {
    return run("nsenter", "--target", this.#pid, "--net", ...command);
  }
}

function addressAt(number: number, end: "near" | "far"): string {
  return `10.99.${number}.${end === "near" ? 1 : 2}`;
}

async function run(program: string, ...args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args: [...args] }).output();
  if (!success) {
    throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  }
}
