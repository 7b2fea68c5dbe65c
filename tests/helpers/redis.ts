/** A Redis of the test's own, on a free port of loopback. */

import { findFreePort } from "./free_port.ts";
import { Output } from "./program.ts";
import { hasCommand, isMissing } from "./tools.ts";

/** True if tests with a Redis have to be skipped here. */
export function isRedisMissing(): boolean {
  return isMissing(hasCommand("redis-server"), "redis-server (Debian: redis-server)");
}

export class TestRedis implements AsyncDisposable {
  #process: Deno.ChildProcess;
  readonly #args: readonly string[];
  readonly port: number;

  private constructor(process: Deno.ChildProcess, port: number, args: readonly string[]) {
    this.#process = process;
    this.port = port;
    this.#args = args;
  }

  /** Starts one that keeps nothing on disk; resolves once it listens. */
  static async start(...args: readonly string[]): Promise<TestRedis> {
    const port = findFreePort();
    return new TestRedis(await launch(port, args), port, args);
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Runs a command; its reply as redis-cli writes it. */
  async command(...args: readonly string[]): Promise<string> {
    const { stdout } = await new Deno.Command("redis-cli", {
      args: ["-p", String(this.port), ...args],
    }).output();
    return new TextDecoder().decode(stdout).trim();
  }

  signal(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /** Ends it as if the machine had lost power. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
  }

  /** Starts it again after {@link kill}: on the same port, empty. */
  async restart(): Promise<void> {
    this.#process = await launch(this.port, this.#args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // it has ended
    }
    await this.#process.status;
  }
}

async function launch(port: number, args: readonly string[]): Promise<Deno.ChildProcess> {
  const listen = ["--port", String(port), "--bind", "127.0.0.1"];
  const process = new Deno.Command("redis-server", {
    args: [...listen, "--save", "", "--appendonly", "no", ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  await new Output(process.stdout).has("Ready to accept connections");
  return process;
}
