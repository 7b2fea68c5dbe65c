/** A TURN server for tests: Debian's coturn on loopback, which knows nothing but a shared secret. */

import { findFreePort } from "./free_port.ts";
import { hasCommand, isMissing } from "./tools.ts";

/** True if tests with coturn have to be skipped. */
export function isTurnMissing(): boolean {
  const hasTurn = hasCommand("turnserver") && hasCommand("turnutils_uclient");
  return isMissing(hasTurn, "turnserver and turnutils_uclient (Debian: coturn)");
}

const HOST = "127.0.0.1";

/** The line that it prints once it is up. */
const STARTED = "DB connection success";

export class TurnServer implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #folder: string;
  readonly #port: number;

  private constructor(process: Deno.ChildProcess, folder: string, port: number) {
    this.#process = process;
    this.#folder = folder;
    this.#port = port;
  }

  /** Starts one on a free port; resolves once it is up. */
  static async start(secret: string): Promise<TurnServer> {
    const folder = await Deno.makeTempDir({ prefix: "signalbox-turn-" });
    const port = findFreePort();
    const args = [
      ...["-n", "--listening-ip", HOST, "--relay-ip", HOST, "--listening-port", `${port}`],
      ...["--use-auth-secret", `--static-auth-secret=${secret}`, "--realm", "signalbox"],
      ...["--allow-loopback-peers", "--no-cli", "--no-tls", "--no-dtls"],
      ...["--userdb", `${folder}/db`, "--pidfile", `${folder}/pid`],
      ...["--log-file", "stdout", "--simple-log"],
    ];
    const log = { stdin: "null", stdout: "piped", stderr: "null" } as const;
    const process = new Deno.Command("turnserver", { args, ...log }).spawn();
    await readUntil(STARTED, process.stdout);
    return new TurnServer(process, folder, port);
  }

  get url(): string {
    return `turn:${HOST}:${this.#port}?transport=udp`;
  }

  /** Allocates a relay with credentials, and sends something through it; whether both went well. */
  async serves(username: string, credential: string): Promise<boolean> {
    const args = ["-y", "-c", "-n", "1", "-z", "1", "-p", `${this.#port}`];
    const user = ["-u", username, "-w", credential, HOST];
    const client = new Deno.Command("turnutils_uclient", { args: [...args, ...user] });
    const { success, stdout } = await client.output();
    const said = new TextDecoder().decode(stdout);
    return success && said.includes("Total lost packets 0 ");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGTERM");
    await this.#process.status;
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** Resolves when `text` has been read; what follows is read and dropped, so that the writer never waits. */
async function readUntil(text: string, stream: ReadableStream<Uint8Array>): Promise<void> {
  const found = Promise.withResolvers<void>();
  const decoder = new TextDecoder();
  let said = "";
  const reading = stream.pipeTo(
    new WritableStream({
      write(chunk) {
        if (!said.includes(text)) said += decoder.decode(chunk, { stream: true });
        if (said.includes(text)) found.resolve();
      },
    }),
  );
  reading.then(() => found.reject(new Error(`it ended: ${said}`)));
  await found.promise;
}
