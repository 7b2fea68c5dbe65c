/** The Deno versions that a test runs the program on: the one that runs the tests, and another where it is named. */

import { fromSource } from "./program.ts";

export interface Runtime {
  /** For the test's name. */
  readonly name: string;
  /** What runs the program from its source; undefined where there is no such runtime. */
  readonly command: readonly string[] | undefined;
}

/** The variable that names the other Deno: a path, or a name on the path. */
const OTHER = "OTHER_DENO";

/** This Deno, and the one in the variable `OTHER_DENO`: some things of the runtime differ from version to version. */
export function runtimes(): readonly Runtime[] {
  const other = Deno.env.get(OTHER);
  return [
    { name: `Deno ${Deno.version.deno}`, command: fromSource },
    other === undefined
      ? { name: `another Deno (set ${OTHER})`, command: undefined }
      : otherRuntime(other),
  ];
}

function otherRuntime(deno: string): Runtime {
  // npm's `deno` is a script that starts the executable: a signal to it would not reach the program.
  const script = "console.log(JSON.stringify([Deno.version.deno, Deno.execPath()]))";
  const { stdout } = new Deno.Command(deno, { args: ["eval", script] }).outputSync();
  const [version, path] = JSON.parse(new TextDecoder().decode(stdout));
  return { name: `Deno ${version}`, command: [path, ...fromSource.slice(1)] };
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
