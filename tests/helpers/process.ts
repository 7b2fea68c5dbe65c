/** Figures of another process, read from /proc. */

/** True if the system has /proc. */
export const hasProc = Deno.build.os === "linux";

/** The resident memory of a process, in bytes: now, and at its highest; 0 on a system without /proc. */
export function memoryOf(pid: number): { readonly nowBytes: number; readonly peakBytes: number } {
  if (!hasProc) return { nowBytes: 0, peakBytes: 0 };
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const read = (name: string) => {
    const [, kibibytes] = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status) ?? [];
    return Number(kibibytes) * 1024;
  };
  return { nowBytes: read("VmRSS"), peakBytes: read("VmHWM") };
}

/** `12.3 MiB` */
export function inMebibytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}
