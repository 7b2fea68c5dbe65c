/** Peers that do not answer any more, and a watcher that waits until the server has dropped them. */

import { TestClient } from "../helpers/client.ts";
import type { ServingProgram } from "../helpers/program.ts";

/** Long enough that the watcher answers its pings on a busy machine, too. */
const IDLE_TIMEOUT_MS = 3000;
/** A slow reader shall not be dropped for the mere amount of what waits here. */
export const SERVER_ARGUMENTS: readonly string[] = [
  ...["--idle-timeout", `${IDLE_TIMEOUT_MS}ms`],
  ...["--rate-limit", "0"],
  ...["--max-buffered", "1GiB"],
  ...["--drain-timeout", "500ms"], // some of them never end
  ...["--log-level", "warn"],
];

/** One peer gets no messages, one gets them all the time, and the others get one each, a tenth of the idle timeout apart. */
const STUCK_AT_TENTHS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const PEER_IDS: readonly string[] = [
  "quiet",
  "written",
  ...STUCK_AT_TENTHS.map((tenth) => `stuck at ${tenth}`),
];

/** {@link PEER_IDS}, in a process of their own. */
export class Peers implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;

  constructor(url: string, network: (command: readonly string[]) => readonly string[]) {
    const script = new URL("half_open_peers.ts", import.meta.url).pathname;
    const deno = [Deno.execPath(), "run", "--allow-net", script, url, ...PEER_IDS];
    const [program, ...args] = network(deno);
    this.#process = new Deno.Command(program!, { args, stdin: "piped", stdout: "piped" }).spawn();
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Lets them connect; resolves when all have registered. */
  async register(): Promise<void> {
    const writer = this.#process.stdin.getWriter();
    await writer.write(new TextEncoder().encode("\n"));
    await writer.close();
    const reader = this.#process.stdout.getReader();
    await reader.read();
    await reader.cancel();
  }

  /** Stops the process: the kernel goes on acknowledging what comes, but the process reads nothing. */
  stop(): void {
    this.#process.kill("SIGSTOP");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
  }
}

/** Writes to the peers until the server has dropped the last of them. Resolves with the time that took, in idle timeouts. */
export async function untilDropped(program: ServingProgram): Promise<Map<string, number>> {
  const watcher = await TestClient.register(program.url, "watcher", { presence: true });
  const writer = await TestClient.register(program.url, "writer");
  const startedAtMs = performance.now();
  const timers = STUCK_AT_TENTHS.map((tenth) =>
    setTimeout(() => fill(writer, `stuck at ${tenth}`), tenth * IDLE_TIMEOUT_MS / 10)
  );
  const chatter = setInterval(
    () => writer.send({ target_id: "written", text: "x".repeat(1000) }),
    5,
  );
  const dropped = new Map<string, number>();
  while (dropped.size < PEER_IDS.length) {
    const { type, client_id: id } = await watcher.next();
    if (type !== "peer_left") continue;
    dropped.set(`${id}`, (performance.now() - startedAtMs) / IDLE_TIMEOUT_MS);
  }
  clearInterval(chatter);
  for (const timer of timers) clearTimeout(timer);
  await Promise.all([watcher.close(), writer.close()]);
  return dropped;
}

/** Sends more than the kernel buffers for a peer that does not read. */
function fill(writer: TestClient, targetId: string): void {
  for (let n = 0; n < 100; n++) writer.send({ target_id: targetId, text: "x".repeat(60_000) });
}

/** `quiet 1.00, written 1.72 idle timeouts` */
export function describeDrops(dropped: ReadonlyMap<string, number>): string {
  const parts = [...dropped].map(([id, timeouts]) => `${id} ${timeouts.toFixed(2)}`);
  return `${parts.join(", ")} idle timeouts`;
}
