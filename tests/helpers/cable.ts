/** Two machines on one, with a cable between them that can be pulled: network namespaces (Linux). */

/** Addresses at the two ends. */
export const NEAR = "10.99.0.1";
export const FAR = "10.99.0.2";

/** Runs a command in a network of its own, where it may do what root may. */
export function inOwnNetwork(command: readonly string[]): readonly string[] {
  return ["unshare", "--user", "--map-root-user", "--net", ...command];
}

/** Whether {@link inOwnNetwork} works here. */
export function canHaveOwnNetwork(): boolean {
  try {
    const [program, ...args] = inOwnNetwork(["ip", "link", "set", "lo", "up"]);
    return new Deno.Command(program!, { args, stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false; // no such command
  }
}

/** Brings loopback up, which a new network has switched off. */
export async function startLoopback(): Promise<void> {
  await run("ip", "link", "set", "lo", "up");
}

export class Cable {
  readonly #pid: string;

  private constructor(pid: number) {
    this.#pid = `${pid}`;
  }

  /** Leads from this network to that of a process, which has to have one of its own. */
  static async plugIn(pid: number): Promise<Cable> {
    const cable = new Cable(pid);
    await run(
      "ip",
      "link",
      "add",
      "near",
      "type",
      "veth",
      "peer",
      "name",
      "far",
      "netns",
      `${pid}`,
    );
    await run("ip", "address", "add", `${NEAR}/24`, "dev", "near");
    await run("ip", "link", "set", "near", "up");
    await cable.#runThere("ip", "address", "add", `${FAR}/24`, "dev", "far");
    await cable.#runThere("ip", "link", "set", "far", "up");
    return cable;
  }

  /** From now on nothing arrives, in either direction, and nobody is told. */
  async pull(): Promise<void> {
    await this.#runThere("ip", "link", "set", "far", "down");
  }

  #runThere(...command: readonly string[]): Promise<void> {
    return run("nsenter", "--target", this.#pid, "--net", ...command);
  }
}

async function run(program: string, ...args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args: [...args] }).output();
  if (!success) {
    throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  }
}
