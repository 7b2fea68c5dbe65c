/** Makes the executables for all systems, as the task `compile` makes the one for this: `dist/signalbox-<target>`. */

import config from "../deno.json" with { type: "json" };

/** As `deno compile --target` names them. */
export const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-msvc",
] as const;

export interface Compilation {
  /** For `deno`. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * A task that compiles, for another target.
 *
 * @param task `NAME=value deno compile … --output dist/signalbox main.ts`
 */
export function compilationFor(target: string, task: string): Compilation {
  const words = task.split(" ");
  const args = words.slice(words.indexOf("deno") + 1);
  const output = args.indexOf("--output") + 1;
  args.splice(output, 1, `${args[output]}-${target}`, "--target", target);
  const settings = words.slice(0, words.indexOf("deno"));
  return { args, env: Object.fromEntries(settings.map((setting) => setting.split("=", 2))) };
}

/** Whether it came to be. */
async function compile(target: string): Promise<boolean> {
  console.log(`\n${target}`);
  const { args, env } = compilationFor(target, config.tasks.compile.command);
  const { success } = await new Deno.Command(Deno.execPath(), { args: [...args], env }).spawn()
    .status;
  return success;
}

if (import.meta.main) {
  const missing: string[] = [];
  for (const target of TARGETS) {
    if (!await compile(target)) missing.push(target);
  }
  if (missing.length > 0) {
    console.error(`\nNot made: ${missing.join(", ")}`);
    Deno.exit(1);
  }
}
