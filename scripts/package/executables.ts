/** The executables of a release, one for each system. */

import { messageOf } from "../../lib/log.ts";
import { argsFor, TARGETS } from "../compile_all.ts";
import { writeRuntimeLock } from "./runtime_lock.ts";

export type Target = typeof TARGETS[number];

/** Bytes of a header, by their offset. */
type Header = Readonly<Record<number, readonly number[]>>;

const ELF_64 = [0x7f, 0x45, 0x4c, 0x46, 2];
const MACH_O_64 = [0xcf, 0xfa, 0xed, 0xfe];
const MZ = [0x4d, 0x5a];

/** Header of each target's executables: the format, and the machine at its offset (ELF e_machine, Mach-O cputype). */
const HEADERS: Readonly<Record<Target, Header>> = {
  "x86_64-unknown-linux-gnu": { 0: ELF_64, 18: [62, 0] },
  "aarch64-unknown-linux-gnu": { 0: ELF_64, 18: [183, 0] },
  "x86_64-apple-darwin": { 0: MACH_O_64, 4: [7, 0, 0, 1] },
  "aarch64-apple-darwin": { 0: MACH_O_64, 4: [12, 0, 0, 1] },
  "x86_64-pc-windows-msvc": { 0: MZ },
};

/** Offset in a DOS header of that of the PE header, which begins with `PE\0\0` and the machine. */
const PE_OFFSET = 0x3c;
const PE_X86_64 = [0x50, 0x45, 0, 0, 0x64, 0x86];

/** Returns whether a file is an executable for a target, by its first bytes. */
export function isExecutableFor(target: Target, head: Uint8Array): boolean {
  const has = (bytes: readonly number[], offset: number) =>
    bytes.every((byte, index) => head[offset + index] === byte);
  const matches = Object.entries(HEADERS[target])
    .every(([offset, bytes]) => has(bytes, Number(offset)));
  if (!matches || !target.includes("windows")) return matches;
  if (head.length < PE_OFFSET + 4) return false;
  return has(PE_X86_64, new DataView(head.buffer, head.byteOffset).getUint32(PE_OFFSET, true));
}

/** The file of a target in a release, `signalbox-x86_64-unknown-linux-gnu`. */
export function nameOf(target: Target): string {
  return `signalbox-${target}${target.includes("windows") ? ".exe" : ""}`;
}

/**
 * Compiles for a target, to `dist/`, and returns the path.
 *
 * @throws {Error} with what `deno compile` has printed, such as that it cannot download the target's runtime
 */
export function compile(target: Target): string {
  writeRuntimeLock();
  const env = { RUST_LIB_BACKTRACE: "0", NO_COLOR: "1" };
  const { success, stderr } = new Deno.Command(Deno.execPath(), { args: argsFor(target), env })
    .outputSync();
  if (success) return `dist/${nameOf(target)}`;
  const printed = new TextDecoder().decode(stderr);
  throw new Error(printed.replace(/^.*?error: /s, "").trim().replaceAll(/\s+/g, " "));
}

/**
 * Puts an executable for each target into `folder`.
 *
 * @param make returns the path of an executable, or throws
 * @returns the targets that it has none for, each with the reason
 */
export function addExecutables(
  folder: string,
  make: (target: Target) => string,
): ReadonlyMap<Target, string> {
  const missing = new Map<Target, string>();
  for (const target of TARGETS) {
    try {
      const made = make(target);
      if (!isExecutableFor(target, readHead(made))) {
        throw new Error("what was made is for another machine; is DENORT_BIN set?");
      }
      Deno.copyFileSync(made, `${folder}/${nameOf(target)}`);
    } catch (error) {
      missing.set(target, messageOf(error));
    }
  }
  return missing;
}

function readHead(path: string): Uint8Array {
  using file = Deno.openSync(path);
  const head = new Uint8Array(4096);
  const length = file.readSync(head) ?? 0;
  return head.subarray(0, length);
}
