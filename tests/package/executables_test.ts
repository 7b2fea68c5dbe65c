/** A release has an executable for a machine only if it is one. */

import assert from "node:assert/strict";
import { isExecutableFor } from "../../scripts/package/executables.ts";
import { TARGETS } from "../../scripts/compile_all.ts";
import { testPure } from "../helpers/pure.ts";

/** Makes the beginning of a file, with some bytes at an offset. */
function head(parts: Readonly<Record<number, readonly number[]>>): Uint8Array {
  const bytes = new Uint8Array(256);
  for (const [offset, part] of Object.entries(parts)) bytes.set(part, Number(offset));
  return bytes;
}

const ELF = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1];
const MACH_O = [0xcf, 0xfa, 0xed, 0xfe];
const PE = [0x50, 0x45, 0, 0];

const HEADS = {
  "x86_64-unknown-linux-gnu": head({ 0: ELF, 18: [0x3e, 0] }),
  "aarch64-unknown-linux-gnu": head({ 0: ELF, 18: [0xb7, 0] }),
  "x86_64-apple-darwin": head({ 0: [...MACH_O, 7, 0, 0, 1] }),
  "aarch64-apple-darwin": head({ 0: [...MACH_O, 12, 0, 0, 1] }),
  "x86_64-pc-windows-msvc": head({ 0: [0x4d, 0x5a], 0x3c: [0x80], 0x80: [...PE, 0x64, 0x86] }),
};

testPure("isExecutableFor() knows the executable of each target from all others", () => {
  for (const target of TARGETS) {
    const found = TARGETS.filter((other) => isExecutableFor(other, HEADS[target]));
    assert.deepEqual(found, [target]);
  }
});

testPure("isExecutableFor() takes nothing else for an executable", () => {
  const others = [
    head({}),
    new Uint8Array(0),
    head({ 0: ELF, 18: [0xf3, 0] }), // RISC-V
    head({ 0: [0x4d, 0x5a], 0x3c: [0xff, 0xff, 0xff, 0xff] }),
    head({ 0: [0x4d, 0x5a], 0x3c: [0x80], 0x80: [...PE, 0x4c, 0x01] }), // 32 bits
    HEADS["x86_64-pc-windows-msvc"].subarray(0, 3),
  ];
  for (const other of others) {
    assert.ok(TARGETS.every((target) => !isExecutableFor(target, other)));
  }
});
