/** A server under measurement: its process, the core it is pinned to, its CPU time and its memory. */

import { within } from "../../lib/clock.ts";

interface StartOptions {
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The core that it is pinned to; null if that is not possible. */
  readonly core: number | null;
  /** The file for its stderr. */
  readonly stderrFile: string;
  /** The line that it prints when it listens, with the port as the first group. */
  readonly listening?: RegExp;
}

/** A line with its ws: address. */
const LISTENS_ON = /ws:\/\/\S+:(\d+).*\n/;

const START_TIMEOUT_MS = 20_000;

export class ServerProcess {
  readonly port: number;
  readonly #process: Deno.ChildProcess;
  readonly #output: ReadableStreamDefaultReader<Uint8Array>;
  readonly #threadCpuNs = new Map<string, number>();

  private constructor(
    process: Deno.ChildProcess,
    output: ReadableStreamDefaultReader<Uint8Array>,
    port: number,
  ) {
    this.#process = process;
    this.#output = output;
    this.port = port;
  }

  /**
   * Starts a server, and waits until it has printed where it listens.
   *
   * @throws {Error} if it ends, or takes too long
   */
  static async start(options: StartOptions): Promise<ServerProcess> {
    const { core, stderrFile, listening = LISTENS_ON } = options;
    const pinned = core === null
      ? options.command
      : ["taskset", "--cpu-list", String(core), ...options.command];
    // The shell hands its own process over (exec), so that the pid is the server's.
    const process = new Deno.Command("sh", {
      args: ["-c", 'exec "$@" 2>"$0"', stderrFile, ...pinned],
      env: { NO_COLOR: "1", ...options.env },
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const output = process.stdout.getReader();
    try {
      const late = new Error("it did not start in time");
      const port = await within(START_TIMEOUT_MS, readPort(output, listening), late);
      return new ServerProcess(process, output, port);
    } catch (error) {
      await end(process, output);
      const stderr = Deno.readTextFileSync(stderrFile);
      throw new Error(`${options.command.join(" ")}: ${(error as Error).message}\n${stderr}`);
    }
  }

  /**
   * CPU time since the last call, kernel included, of all threads. A thread that has ended in between is left out:
   * the runtimes end only those that have had nothing to do for seconds.
   */
  takeCpuNs(): number {
    const tasks = `/proc/${this.#process.pid}/task`;
    let sum = 0;
    for (const { name: thread } of Deno.readDirSync(tasks)) {
      const cpuNs = readIfThere(`${tasks}/${thread}/schedstat`, (text) => parseInt(text)) ?? 0;
      sum += cpuNs - (this.#threadCpuNs.get(thread) ?? 0);
      this.#threadCpuNs.set(thread, cpuNs);
    }
    return sum;
  }

  /** Resident memory. */
  residentBytes(): number {
    const text = Deno.readTextFileSync(`/proc/${this.#process.pid}/smaps_rollup`);
    return 1024 * Number(/^Rss:\s+(\d+) kB$/m.exec(text)?.[1]);
  }

  stop(): Promise<void> {
    return end(this.#process, this.#output);
  }
}

async function end(process: Deno.ChildProcess, output: ReadableStreamDefaultReader): Promise<void> {
  try {
    process.kill("SIGKILL");
  } catch {
    // It has ended already.
  }
  await Promise.all([output.cancel(), process.status]);
}

async function readPort(
  output: ReadableStreamDefaultReader<Uint8Array>,
  listening: RegExp,
): Promise<number> {
  const decoder = new TextDecoder();
  let text = "";
  while (!listening.test(text)) {
    const { value, done } = await output.read();
    if (done) throw new Error("it ended without saying where it listens");
    text += decoder.decode(value, { stream: true });
  }
  return Number(listening.exec(text)?.[1]);
}

function readIfThere<Value>(path: string, read: (text: string) => Value): Value | null {
  try {
    return read(Deno.readTextFileSync(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
