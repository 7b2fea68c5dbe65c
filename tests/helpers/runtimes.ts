/** The Deno versions that a test runs the program on: the one that runs the tests, and another if it is named. */

import { fromSource } from "./program.ts";
import { isMissing } from "./tools.ts";

interface Runtime {
  /** Part of the test's name. */
  readonly name: string;
  /** The command that runs the program from its source; undefined if there is no such runtime. */
  readonly command: readonly string[] | undefined;
}

/** The variable that names the oldest Deno that is supported: a path, or a name on the path. */
const OLDEST = "TEST_DENO_OLDEST";

/** This Deno, and the oldest one if it is named: some of what the program has to survive differs between them. */
export function runtimes(): readonly Runtime[] {
  const current = { name: `Deno ${Deno.version.deno}`, command: fromSource() };
  const oldest = Deno.env.get(OLDEST);
  if (oldest !== undefined) return [current, oldestRuntime(oldest)];
  isMissing(false, `${OLDEST}, the path of the oldest Deno that is supported`);
  return [current, { name: "the oldest Deno", command: undefined }];
}

function oldestRuntime(deno: string): Runtime {
  // npm's `deno` is a script that starts the executable: a signal to it would not reach the program.
  const script = "console.log(JSON.stringify([Deno.version.deno, Deno.execPath()]))";
  const { stdout } = new Deno.Command(deno, { args: ["eval", script] }).outputSync();
  const [version, path] = JSON.parse(new TextDecoder().decode(stdout));
  return { name: `Deno ${version}`, command: fromSource(path) };
}

/** A test for each of {@link runtimes}. */
export function testOnRuntimes(
  name: string,
  fn: (command: readonly string[]) => Promise<void>,
): void {
  for (const { name: runtime, command } of runtimes()) {
    Deno.test({
      name: `${name}, on ${runtime}`,
      ignore: command === undefined,
      fn: () => fn(command!),
    });
  }
}
