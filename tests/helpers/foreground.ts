/** Another program that serves, as a process in the foreground. */

import { Output } from "./program.ts";

const POLL_MS = 20;

interface ForegroundOptions {
  /** The environment; without it, that of the test. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export class Foreground implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #stdout: Output;
  readonly #stderr: Output;
  #hasEnded = false;

  constructor(command: readonly string[], options: ForegroundOptions = {}) {
    const [program, ...args] = command;
    const streams = { stdin: "null", stdout: "piped", stderr: "piped" } as const;
    this.#process = new Deno.Command(program!, { args, ...streams, ...options }).spawn();
    this.#process.status.then(() => this.#hasEnded = true);
    this.#stdout = new Output(this.#process.stdout);
    this.#stderr = new Output(this.#process.stderr);
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Its output so far. */
  get log(): string {
    return this.#stdout.text + this.#stderr.text;
  }

  /**
   * Resolves once it accepts connections.
   *
   * @throws {Error} with what it has printed, if it ends instead
   */
  async listensOn(port: number): Promise<void> {
    while (!await accepts(port)) {
      if (this.#hasEnded) throw new Error(`it ended before it listened: ${this.log}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Ends it, and waits until it has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) this.#process.kill("SIGTERM");
    await Promise.all([this.#process.status, this.#stdout.whole, this.#stderr.whole]);
  }
}

async function accepts(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}
