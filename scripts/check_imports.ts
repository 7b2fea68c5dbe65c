/** Checks who imports whom: imports run one way, from the program down to the words of the wire. */

/** Sources by their path from the top of the repository: `lib/router.ts`. */
export type Files = ReadonlyMap<string, string>;

/** Who may never import what. Patterns are paths, packages, or beginnings of them that end in `/` or `:`. */
interface Rule {
  readonly who: readonly string[];
  readonly except?: readonly string[];
  readonly never: readonly string[];
  readonly why: string;
}

/** What knows connections, and so is known by nothing that only parses, decides or routes. */
const SHELL = [
  "lib/admin/",
  "lib/cluster/",
  "lib/connection.ts",
  "lib/registrar.ts",
  "lib/server.ts",
];

const RULES: readonly Rule[] = [
  {
    who: ["lib/", "scripts/"],
    except: ["scripts/soak.ts", "scripts/soak/"], // long tests
    never: ["main.ts", "tests/"],
    why: "nothing depends on the program or its tests",
  },
  {
    who: ["lib/", "main.ts"],
    never: ["scripts/", "fast-check", "playwright-core"],
    why: "what only developers need stays out of the executable",
  },
  {
    who: ["lib/"],
    except: SHELL,
    never: SHELL,
    why: "what parses, decides and routes knows no connections",
  },
  {
    who: ["lib/"],
    except: [...SHELL, "lib/options.ts"],
    never: ["lib/router.ts"],
    why: "only what brings frames knows where they go",
  },
  {
    who: ["lib/cluster/", "lib/registrar.ts"],
    never: ["lib/connection.ts", "lib/server.ts", "lib/options.ts"],
    why: "who is registered does not depend on how it is connected",
  },
  {
    who: ["lib/connection.ts"],
    never: ["lib/server.ts", "lib/options.ts", "lib/cluster/"],
    why: "one connection knows neither the server nor its other nodes",
  },
  {
    who: ["lib/admin/"],
    never: ["lib/connection.ts", "lib/server.ts", "lib/router.ts", "lib/cluster/"],
    why: "the admin listener is shown what it needs of the public one",
  },
  {
    who: ["lib/"],
    except: ["lib/command_line.ts"],
    never: ["commander"],
    why: "one file knows how arguments are parsed",
  },
  {
    who: ["lib/"],
    except: ["lib/log.ts"],
    never: ["@logtape/logtape"],
    why: "one file knows how log lines are made",
  },
  {
    who: ["lib/"],
    except: ["lib/auth.ts", "lib/key_set.ts"],
    never: ["jose"],
    why: "two files know tokens",
  },
  {
    who: ["lib/"],
    except: ["lib/cluster/redis.ts"],
    never: ["redis"],
    why: "one file knows Redis",
  },
  {
    who: ["lib/"],
    except: ["lib/admin/collector.ts"],
    never: ["prom-client", "prom-client/"],
    why: "one file knows how metrics are written down",
  },
];

/** Packages that few need and that cost time at the start: imported by `import()` where an option asks for them. */
const LAZY_PACKAGES = ["jose", "prom-client", "prom-client/", "redis"];

/** Who may speak to the runtime, and who may read what the user gave. */
const DENO_USERS = [
  "main.ts",
  "lib/admin/admin.ts",
  "lib/admin/exposition.ts",
  "lib/listener.ts",
  "lib/server.ts",
  "lib/static_files.ts",
];
const INPUT_USERS = ["main.ts"];

interface Import {
  readonly target: string;
  /** Whether nothing of it is left when the program runs. */
  readonly isType: boolean;
  /** Whether it is carried out only when the program comes to it. */
  readonly isLazy: boolean;
}

type Graph = ReadonlyMap<string, readonly Import[]>;

/** What is against the rules, a line each. */
export function checkImports(files: Files): string[] {
  const sources = [...files].map(([path, text]) => [path, withoutComments(text)] as const);
  const graph: Graph = new Map(sources.map(([path, code]) => [path, importsOf(path, code)]));
  return [
    ...RULES.flatMap((rule) => forbiddenImports(rule, graph)),
    ...eagerImports(graph),
    ...sources.flatMap(([path, code]) => runtimeUses(path, code)),
    ...circles(graph),
  ];
}

function forbiddenImports({ who, except = [], never, why }: Rule, graph: Graph): string[] {
  return [...graph]
    .filter(([path]) => matches(path, who) && !matches(path, except))
    .flatMap(([path, imports]) =>
      imports.filter(({ target }) => matches(target, never))
        .map(({ target }) => `${path} imports ${target}: ${why}`)
    );
}

function eagerImports(graph: Graph): string[] {
  return [...graph].filter(([path]) => matches(path, ["lib/", "main.ts"]))
    .flatMap(([path, imports]) =>
      imports.filter((one) => !one.isType && !one.isLazy && matches(one.target, LAZY_PACKAGES))
        .map(({ target }) =>
          `${path} imports ${target} at the start: use import() where it is needed`
        )
    );
}

function runtimeUses(path: string, code: string): string[] {
  if (!matches(path, ["lib/", "main.ts"])) return [];
  const lines: string[] = [];
  if (/\bDeno\b/.test(code) && !DENO_USERS.includes(path)) {
    lines.push(`${path} uses Deno: pass in what it needs (${DENO_USERS.join(", ")} may)`);
  }
  if (/\bDeno\.(args|env)\b|\bprocess\.(argv|env)\b/.test(code) && !INPUT_USERS.includes(path)) {
    lines.push(`${path} reads arguments or environment: only ${INPUT_USERS.join(", ")} may`);
  }
  return lines;
}

/** Each circle of imports, written from its first file on. */
function circles(graph: Graph): string[] {
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, way: readonly string[]) => {
    const start = way.indexOf(path);
    if (start >= 0) found.push(`a circle: ${[...way.slice(start), path].join(" → ")}`);
    if (start >= 0 || done.has(path)) return;
    for (const { target } of graph.get(path) ?? []) visit(target, [...way, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return found;
}

function matches(name: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) =>
    /[/:]$/.test(pattern) ? name.startsWith(pattern) : name === pattern
  );
}

const IMPORT = /^\s*(?:import|export)\s+(type\s)?(?:[^"';]*?\sfrom\s+)?"([^"]+)"/gm;
const LAZY_IMPORT = /\bimport\(\s*"([^"]+)"/g;

function importsOf(path: string, code: string): Import[] {
  const eager = [...code.matchAll(IMPORT)].map(([, type, target]) => ({
    target: resolve(path, target!),
    isType: type !== undefined,
    isLazy: false,
  }));
  const lazy = [...code.matchAll(LAZY_IMPORT)].map(([, target]) => ({
    target: resolve(path, target!),
    isType: false,
    isLazy: true,
  }));
  return [...eager, ...lazy];
}

/** `lib/router.ts` of `./router.ts` in `lib/server.ts`; a package as it is. */
function resolve(importer: string, specifier: string): string {
  if (!specifier.startsWith(".")) return specifier;
  return new URL(specifier, `file:///${importer}`).pathname.slice(1);
}

/** Strings are matched, too, so that what looks like a comment in one stays. */
function withoutComments(code: string): string {
  return code.replace(
    /("(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)|\/\/.*|\/\*[^]*?\*\//g,
    (_, string) => string ?? "",
  );
}

/** The sources of the repository whose top is `top`. */
function readSources(top: URL): Files {
  const files = new Map<string, string>();
  const readFolder = (folder: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(new URL(folder, top))) {
      if (isDirectory) readFolder(`${folder}${name}/`);
      else if (/\.[jt]s$/.test(name)) read(`${folder}${name}`);
    }
  };
  const read = (path: string) => files.set(path, Deno.readTextFileSync(new URL(path, top)));
  for (const folder of ["lib/", "scripts/", "tests/"]) readFolder(folder);
  read("main.ts");
  return files;
}

if (import.meta.main) {
  const violations = checkImports(readSources(new URL("../", import.meta.url)));
  for (const line of violations) console.error(line);
  if (violations.length > 0) Deno.exit(1);
}
