/**
 * Makes `dist/deno.lock`: what deno.lock says of the packages that the program imports. `deno compile` embeds every package
 * of its lock file, and that of the repository has those of the tests, too.
 */

import { PACKAGES } from "../check_imports.ts";

export interface Lock {
  readonly version: string;
  readonly specifiers: Readonly<Record<string, string>>;
  readonly npm: Readonly<Record<string, { readonly dependencies?: readonly string[] }>>;
}

/** Returns the part of a lock file that some packages need, by their names. */
export function pruneLock({ version, specifiers, npm }: Lock, names: readonly string[]): Lock {
  const ids = Object.keys(npm);
  const kept = new Set<string>();
  const keep = (name: string) => {
    // A dependency is its name alone, unless the lock file has several versions of it.
    for (const id of ids.filter((id) => id === name || id.startsWith(`${name}@`))) {
      if (kept.has(id)) continue;
      kept.add(id);
      npm[id]!.dependencies?.forEach(keep);
    }
  };
  names.forEach(keep);
  const isNamed = (specifier: string) => names.some((name) => specifier.startsWith(`npm:${name}@`));
  return {
    version,
    specifiers: pick(specifiers, isNamed),
    npm: pick(npm, (id) => kept.has(id)),
  };
}

function pick<Value>(
  record: Readonly<Record<string, Value>>,
  isPicked: (key: string) => boolean,
): Record<string, Value> {
  return Object.fromEntries(Object.entries(record).filter(([key]) => isPicked(key)));
}

export function writeRuntimeLock(): void {
  const lock = JSON.parse(Deno.readTextFileSync("deno.lock"));
  Deno.mkdirSync("dist", { recursive: true });
  const pruned = pruneLock(lock, Object.keys(PACKAGES));
  Deno.writeTextFileSync("dist/deno.lock", `${JSON.stringify(pruned, null, 2)}\n`);
}

if (import.meta.main) writeRuntimeLock();
