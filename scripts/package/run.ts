/** Runs the programs that a release is made with. */

interface RunOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
}

/**
 * Runs a program to its end, and returns what it has printed on stdout.
 *
 * @throws {Error} with what it has printed on stderr, or that it is not installed
 */
export function run(program: string, args: readonly string[], options: RunOptions = {}): string {
  try {
    const { success, stdout, stderr } = new Deno.Command(program, { args: [...args], ...options })
      .outputSync();
    const decoder = new TextDecoder();
    if (success) return decoder.decode(stdout);
    throw new Error(`${program} failed: ${decoder.decode(stderr).trim()}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(`A release is made with ${program}: install it.`);
  }
}
