/** Makes the executables for all systems with the options of the task `compile`: `dist/signalbox-<target>`. */

import config from "../deno.json" with { type: "json" };
import { writeRuntimeLock } from "./package/runtime_lock.ts";

/** Targets by the names of `deno compile --target`. */
export const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-msvc",
] as const;

/** The task's arguments for `deno`, with another target and output file. */
export function argsFor(target: string): string[] {
  const words = config.tasks.compile.command.split(" ");
  const args = words.slice(words.lastIndexOf("deno") + 1);
  const output = args.indexOf("--output") + 1;
  args.splice(output, 1, `${args[output]}-${target}`, "--target", target);
  return args;
}

if (import.meta.main) {
  writeRuntimeLock();
  const failed: string[] = [];
  for (const target of TARGETS) {
    console.log(`\n${target}`);
    const env = { RUST_LIB_BACKTRACE: "0" }; // a failure shows no stack of Rust, as with the task
    const child = new Deno.Command(Deno.execPath(), { args: argsFor(target), env }).spawn();
    if (!(await child.status).success) failed.push(target);
  }
  if (failed.length > 0) {
    console.error(`\nFailed: ${failed.join(", ")}.`);
    Deno.exit(1);
  }
}
