/** The machine: its description in the report, and the cores of the server and the driver. */

/** One core for the server, another for the driver. */
export interface Cores {
  readonly server: number;
  readonly driver: number;
}

/** The description of the machine in a report. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
}

export function describeMachine(): Machine {
  const cpuInfo = Deno.readTextFileSync("/proc/cpuinfo");
  return {
    cpu: /^(?:model name|Model)\s*:\s*(.+)$/m.exec(cpuInfo)?.[1] ?? Deno.build.arch,
    cores: navigator.hardwareConcurrency,
    memoryGiB: Math.round(Deno.systemMemoryInfo().total / 2 ** 30),
    kernel: `Linux ${Deno.osRelease()}`,
  };
}

/** Two cores that this process may use and that are not one core's two threads; null if there are not two. */
export function pickCores(): Cores | null {
  const status = Deno.readTextFileSync("/proc/self/status");
  const [server, ...others] = readCpuList(/^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? "");
  if (server === undefined) return null;
  const siblings = siblingsOf(server);
  const driver = others.find((core) => !siblings.includes(core)) ?? others[0];
  return driver === undefined ? null : { server, driver };
}

function siblingsOf(core: number): number[] {
  const path = `/sys/devices/system/cpu/cpu${core}/topology/thread_siblings_list`;
  try {
    return readCpuList(Deno.readTextFileSync(path).trim());
  } catch {
    return [core];
  }
}

/** The numbers of `0-2,8`. */
function readCpuList(list: string): number[] {
  return list.split(",").filter((range) => range !== "").flatMap((range) => {
    const [first = NaN, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** Pins this process, all its threads, to a core; false if `taskset` is missing. */
export async function pinSelf(core: number): Promise<boolean> {
  const taskset = new Deno.Command("taskset", {
    args: ["--all-tasks", "--pid", "--cpu-list", String(core), String(Deno.pid)],
    stdout: "null",
    stderr: "null",
  });
  return await taskset.output().then(({ success }) => success, () => false);
}
