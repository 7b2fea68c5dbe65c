/** The program itself, as a process of its own: from the source, or as the executable. */

import config from "../../deno.json" with { type: "json" };

const SOURCE = new URL("../../main.ts", import.meta.url).pathname;
const PERMISSIONS = config.tasks.start.command.split(" ").filter((word) => word.startsWith("--"));

/** The command that runs the program from its source, with the Deno that runs the tests or another one. */
export function fromSource(deno: string = Deno.execPath(), source = SOURCE): readonly string[] {
  return [deno, "run", ...PERMISSIONS, source];
}

export interface ProgramOptions {
  readonly command?: readonly string[];
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  /** Turns the admin listener off unless a test asks for it, because several programs run at a time. */
  readonly hasDefaultAdmin?: true;
}

/** The exit status and output of a process. */
export interface Ending {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program to its end. */
export async function runProgram(
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<Ending> {
  const { code, stdout, stderr } = await command(args, options).output();
  const decoder = new TextDecoder();
  return { status: code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** A program that serves. */
export class ServingProgram implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #stderr: Output;
  /** Its stdout up to the line that it listens. */
  readonly startLine: string;
  readonly url: string;
  readonly httpUrl: string;
  /** Undefined if it has no admin listener. */
  readonly adminUrl: string | undefined;

  private constructor(process: Deno.ChildProcess, stderr: Output, startLine: string) {
    const url = /wss?:\/\/[^\s"]+/.exec(startLine)?.[0];
    if (url === undefined) throw new Error(`no address in ${JSON.stringify(startLine)}`);
    this.#process = process;
    this.#stderr = stderr;
    this.startLine = startLine;
    this.url = url;
    this.httpUrl = url.replace(/^ws/, "http");
    this.adminUrl = /admin page: ([^\s"]+)/.exec(startLine)?.[1];
  }

  /** Starts it on a free port of loopback; resolves once it listens. */
  static async start(
    args: readonly string[] = [],
    options: ProgramOptions = {},
  ): Promise<ServingProgram> {
    const fresh = ["--host", "127.0.0.1", "--port", "0"];
    if (!options.hasDefaultAdmin) fresh.push("--admin", "off");
    const process = command([...fresh, ...args], options).spawn();
    const stderr = new Output(process.stderr);
    const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let printed = "";
    while (!printed.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`it ended before it listened: ${await stderr.whole}`);
      printed += value;
    }
    await reader.cancel();
    return new ServingProgram(process, stderr, printed);
  }

  get pid(): number {
    return this.#process.pid;
  }

  signal(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /** Resolves once it has logged something for the `times`th time. */
  async logged(text: string, times = 1): Promise<void> {
    await this.#stderr.has(text, times);
  }

  /** Its log so far. */
  get log(): string {
    return this.#stderr.text;
  }

  /** Resolves when it has ended. */
  async ended(): Promise<Ending> {
    const [{ code }, stderr] = await Promise.all([this.#process.status, this.#stderr.whole]);
    return { status: code, stdout: "", stderr };
  }

  /** Sends a signal to the process, which may have ended. */
  trySignal(signal: Deno.Signal): void {
    try {
      this.#process.kill(signal);
    } catch {
      // it has ended
    }
  }

  /** Ends it in good order. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.trySignal("SIGTERM");
    await this.ended();
  }
}

/** The output of a process, awaited line by line or as a whole. */
export class Output {
  text = "";
  /** Resolves with all of it when the process has closed it. */
  readonly whole: Promise<string>;
  #isClosed = false;
  #onMore = Promise.withResolvers<void>();

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.whole = this.#read(stream);
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
      this.text += chunk;
      this.#notify();
    }
    this.#isClosed = true;
    this.#notify();
    return this.text;
  }

  #notify(): void {
    this.#onMore.resolve();
    this.#onMore = Promise.withResolvers();
  }

  /** Resolves once a text has been written for the `times`th time; rejects if the output ends before. */
  async has(text: string, times = 1): Promise<void> {
    while (this.text.split(text).length <= times) {
      if (this.#isClosed) throw new Error(`it ended without having written ${text}: ${this.text}`);
      await this.#onMore.promise;
    }
  }
}

/** The environment of the tests, without what is for them alone: the program warns of variables that it does not know. */
export function ownEnvironment(): Record<string, string> {
  const { TEST_DENO_OLDEST: _, ...env } = Deno.env.toObject();
  return env;
}

function command(args: readonly string[], options: ProgramOptions): Deno.Command {
  const [program, ...rest] = options.command ?? fromSource();
  return new Deno.Command(program!, {
    args: [...rest, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: options.env ?? ownEnvironment(),
    clearEnv: true,
  });
}
