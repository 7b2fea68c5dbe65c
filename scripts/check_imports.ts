/** Checks which room imports which: one rule a room, over the graph that `deno info --json` prints for main.ts. */

/** A module of the graph, with the members that are used here. */
interface Module {
  readonly specifier: string;
  readonly dependencies?: readonly {
    readonly code?: { readonly specifier: string };
    readonly type?: { readonly specifier: string };
    readonly isDynamic?: boolean;
  }[];
}

/** Rooms that a room may import, and rooms of which it may import types alone. */
interface Rule {
  readonly imports: readonly string[];
  readonly types?: readonly string[];
}

/** `base` is the files in lib/ itself: clock, events, log, process. */
const RULES: Readonly<Record<string, Rule>> = {
  main: { imports: ["admin", "http", "check", "auth", "config", "base"] },
  check: { imports: ["base"] },
  admin: { imports: ["http", "relay", "config", "base"] },
  http: { imports: ["dialects", "cluster", "relay", "auth", "base"], types: ["config"] },
  dialects: { imports: ["relay", "base"] },
  cluster: { imports: ["relay", "base"] },
  relay: { imports: ["auth", "base"] },
  auth: { imports: ["base"] },
  config: { imports: ["dialects", "relay", "auth", "base"], types: ["check"] },
  base: { imports: [], types: ["relay"] },
};

/** The room that may import each package; a lazy one costs time at the start, and so is imported when it is needed. */
export const PACKAGES: Readonly<
  Record<string, { readonly room: string; readonly isLazy: boolean }>
> = {
  commander: { room: "config", isLazy: false },
  "lean-qr": { room: "http", isLazy: false },
  jose: { room: "auth", isLazy: true },
  marked: { room: "http", isLazy: true },
  redis: { room: "cluster", isLazy: true },
};

/** Rooms that get all that they need of the runtime passed in. */
const WITHOUT_DENO = ["relay", "dialects", "auth", "config"];

/** Finds what breaks the rules, a line each. `top` is the URL of the repository. */
export function checkImports(modules: readonly Module[], top: string): string[] {
  const own = modules.filter(({ specifier }) => specifier.startsWith(top));
  const found: string[] = [];
  for (const { specifier, dependencies = [] } of own) {
    const path = specifier.slice(top.length);
    const room = roomOf(path);
    for (const { code, type, isDynamic = false } of dependencies) {
      const target = (code ?? type)?.specifier ?? "";
      if (target.startsWith("npm:")) found.push(...checkPackage(path, target, code && !isDynamic));
      else if (target.startsWith(top)) {
        const rule = RULES[room];
        const to = target.slice(top.length);
        const allowed = [...rule?.imports ?? [], ...(code ? [] : rule?.types ?? [])];
        if (to === "deno.json" || roomOf(to) === room || allowed.includes(roomOf(to))) continue;
        found.push(`${path} imports ${to}: ${room} may import ${allowed.join(", ")}`);
      }
    }
  }
  return [...found, ...findCycles(own).map((cycle) => cycle.replaceAll(top, ""))];
}

/** The room of `lib/relay/router.ts` is relay. */
function roomOf(path: string): string {
  if (path === "main.ts") return "main";
  return /^lib\/(?:(\w+)\/)?[^/]+/.exec(path)?.[1] ?? (path.startsWith("lib/") ? "base" : path);
}

function checkPackage(path: string, target: string, isAtStart: unknown): string[] {
  const name = /^npm:\/?((?:@[^/]+\/)?[^@/]+)/.exec(target)?.[1] ?? target;
  const rule = PACKAGES[name];
  if (rule?.room !== roomOf(path)) return [`${path} imports ${name}: not in its room`];
  return rule.isLazy && isAtStart ? [`${path} imports ${name} at the start: use import()`] : [];
}

/** Cycles of files that need each other at run time, as `a → b → a`. */
function findCycles(modules: readonly Module[]): string[] {
  const graph = new Map(modules.map(({ specifier, dependencies = [] }) => [
    specifier,
    dependencies.flatMap(({ code }) => code?.specifier ?? []),
  ]));
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (specifier: string, way: readonly string[]) => {
    const start = way.indexOf(specifier);
    if (start >= 0) found.push(`a cycle: ${[...way.slice(start), specifier].join(" → ")}`);
    if (start >= 0 || done.has(specifier)) return;
    for (const target of graph.get(specifier) ?? []) visit(target, [...way, specifier]);
    done.add(specifier);
  };
  for (const specifier of graph.keys()) visit(specifier, []);
  return found;
}

/** Finds files that use the runtime although their room gets it passed in, and files that main.ts does not reach. */
function checkFiles(modules: readonly Module[], top: string): string[] {
  const reached = new Set(modules.map(({ specifier }) => specifier));
  const found: string[] = [];
  for (const room of Object.keys(RULES).filter((room) => room !== "main")) {
    const folder = new URL(room === "base" ? "lib/" : `lib/${room}/`, top);
    for (const { name } of Deno.readDirSync(folder)) {
      if (!name.endsWith(".ts")) continue;
      const file = new URL(name, folder);
      const usesDeno = /\bDeno\.(\w+\(|args|env)/.test(Deno.readTextFileSync(file));
      const path = file.href.slice(top.length);
      if (usesDeno && WITHOUT_DENO.includes(room)) found.push(`${path} uses Deno`);
      if (!reached.has(file.href)) found.push(`${path} is imported by nothing`);
    }
  }
  return found;
}

if (import.meta.main) {
  const top = new URL("../", import.meta.url).href;
  const args = ["info", "--json", new URL("main.ts", top).pathname];
  const { stdout } = new Deno.Command(Deno.execPath(), { args }).outputSync();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout));
  const found = [...checkImports(modules, top), ...checkFiles(modules, top)];
  for (const line of found) console.error(line);
  if (found.length > 0) Deno.exit(1);
}
