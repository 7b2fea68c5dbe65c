/** Bench without output, for tests. */

import { Progress } from "../../scripts/bench/progress.ts";
import type { Bench } from "../../scripts/bench/run.ts";

/** A bench that prints nothing, and leaves nothing behind. */
export class QuietBench implements Bench, AsyncDisposable {
  readonly cores = null;
  readonly progress = new Progress({ writeSync: ({ length }) => length, isTerminal: () => false });

  private constructor(readonly logs: string, readonly signal: AbortSignal) {}

  static async create(signal = new AbortController().signal): Promise<QuietBench> {
    return new QuietBench(await Deno.makeTempDir(), signal);
  }

  logOf(contender: string): Promise<string> {
    return Deno.readTextFile(`${this.logs}/${contender}.log`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Deno.remove(this.logs, { recursive: true });
  }
}
