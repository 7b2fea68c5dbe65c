/** The program itself, as a process of its own: from the source, or as the executable. */

const SOURCE = new URL("../../main.ts", import.meta.url).pathname;
const PERMISSIONS = ["--allow-net", "--allow-env", "--allow-read", "--no-prompt"];

/** The command that runs the program from its source, with the Deno that runs the tests or another one. */
export function fromSource(deno: string = Deno.execPath()): readonly string[] {
  return [deno, "run", ...PERMISSIONS, SOURCE];
}

export interface ProgramOptions {
  readonly command?: readonly string[];
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  /** Where nothing is said of the admin listener, there is none: several programs run at a time. */
  readonly hasDefaultAdmin?: true;
}

/** What a process has left when it ended. */
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

/** What a process writes, as it comes. */
class Output {
  #text = "";
  #onMore = Promise.withResolvers<void>();
  /** All of it, once it has ended. */
  readonly all: Promise<string>;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.all = this.#collect(stream);
  }

  async #collect(stream: ReadableStream<Uint8Array>): Promise<string> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      this.#text += decoder.decode(chunk, { stream: true });
      this.#onMore.resolve();
      this.#onMore = Promise.withResolvers<void>();
    }
    this.#onMore.resolve();
    return this.#text;
  }

  /** Resolves once `part` has been written; rejects when it has ended without it. */
  async has(part: string): Promise<void> {
    const ended = this.all.then(() => "ended" as const);
    while (!this.#text.includes(part)) {
      const more = await Promise.race([this.#onMore.promise, ended]);
      if (more === "ended" && !this.#text.includes(part)) {
        throw new Error(`ended without ${JSON.stringify(part)}: ${this.#text}`);
      }
    }
  }
}

/** A program that serves. */
export class ServingProgram implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #stderr: Output;
  /** What it has printed on stdout when it listened. */
  readonly startLine: string;
  readonly url: string;
  readonly httpUrl: string;
  /** Undefined where it has no admin listener. */
  readonly adminUrl: string | undefined;

  private constructor(process: Deno.ChildProcess, stderr: Output, startLine: string) {
    const url = /wss?:\/\/\S+/.exec(startLine)?.[0];
    if (url === undefined) throw new Error(`no address in ${JSON.stringify(startLine)}`);
    this.#process = process;
    this.#stderr = stderr;
    this.startLine = startLine;
    this.url = url;
    this.httpUrl = url.replace(/^ws/, "http");
    this.adminUrl = /^admin page: (\S+)$/m.exec(startLine)?.[1];
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
      if (done) throw new Error(`it ended before it listened: ${await stderr.all}`);
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

  /** Resolves once it has written `part` to stderr; rejects when it has ended without it. */
  logged(part: string): Promise<void> {
    return this.#stderr.has(part);
  }

  /** How it ended; resolves when it has. */
  async ended(): Promise<Ending> {
    const [{ code }, stderr] = await Promise.all([this.#process.status, this.#stderr.all]);
    return { status: code, stdout: "", stderr };
  }

  /** Ends it in good order. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGTERM");
    } catch {
      // it has ended
    }
    await this.ended();
  }
}

function command(args: readonly string[], options: ProgramOptions): Deno.Command {
  const [program, ...rest] = options.command ?? fromSource();
  return new Deno.Command(program!, {
    args: [...rest, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env, clearEnv: true }),
  });
}
