/** What is compared: signalbox, and what a user would pick in its place. All speak the same protocol. */

/** A server that can be started. */
export interface Contender {
  readonly name: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A contender that cannot be had on this machine. */
export class Unavailable extends Error {}

/** All ratios are to this one. */
export const BASELINE = "bare Deno";

const RELAYS = `${import.meta.dirname}/relays`;

export function bareDeno(): Contender {
  return {
    name: BASELINE,
    command: [Deno.execPath(), "run", "--allow-net", "--no-prompt", `${RELAYS}/deno.ts`],
  };
}

/**
 * What signalbox is started with: everything at its default, but for what would be in a benchmark's way. An option that
 * the measured version does not have is left out.
 */
const SIGNALBOX_OPTIONS = {
  "--host": "127.0.0.1",
  "--port": "0",
  "--admin": "127.0.0.1:0",
  "--rate-limit": "0",
  "--max-connections": "0",
} as const;

/** The source, from its `main.ts`. */
export function fromSource(main: string): readonly string[] {
  return [
    Deno.execPath(),
    "run",
    "--allow-net",
    "--allow-env",
    "--allow-read",
    "--no-prompt",
    main,
  ];
}

/** @param program the executable, or what {@link fromSource} gives */
export async function signalbox(
  name: string,
  program: readonly string[],
  options: Readonly<Record<string, string>>,
): Promise<Contender> {
  const help = await outputOf([...program, "--help"]);
  const known = Object.entries({ ...SIGNALBOX_OPTIONS, ...options })
    .filter(([flag]) => help.includes(`${flag} `));
  return { name, command: [...program, ...known.flat()] };
}

export async function node(cache: string): Promise<Contender> {
  await installFromNpm(cache, "ws", "8.23.0");
  return {
    name: `Node, ws`,
    command: ["node", `${RELAYS}/node.cjs`],
    env: { NODE_PATH: `${cache}/node_modules` },
  };
}

export async function bun(cache: string): Promise<Contender> {
  const arch = Deno.build.arch === "x86_64" ? "x64" : "aarch64";
  // The package `bun` only picks one of these; its install script is not needed for that.
  const binaries = `@oven/bun-linux-${arch}`;
  await installFromNpm(cache, binaries, "1.4.5");
  return {
    name: "Bun",
    command: [`${cache}/node_modules/${binaries}/bin/bun`, `${RELAYS}/bun.js`],
  };
}

export async function python(): Promise<Contender> {
  const interpreters = ["python3", "/usr/bin/python3"];
  for (const interpreter of interpreters) {
    const probe = [interpreter, "-c", "import websockets"];
    if (await outputOf(probe).then(() => true, () => false)) {
      return { name: "Python, websockets", command: [interpreter, `${RELAYS}/python.py`] };
    }
  }
  throw new Unavailable("no python3 with the package websockets was found");
}

async function installFromNpm(cache: string, name: string, version: string): Promise<void> {
  const installed = await Deno.readTextFile(`${cache}/node_modules/${name}/package.json`)
    .then((text) => JSON.parse(text).version, () => null);
  if (installed === version) return;
  await Deno.mkdir(cache, { recursive: true });
  const flags = ["--prefix", cache, "--ignore-scripts", "--no-audit", "--no-fund"];
  await outputOf(["npm", "install", ...flags, `${name}@${version}`]);
}

/** @throws {Unavailable} where it cannot be run, or fails */
async function outputOf([program, ...args]: readonly string[]): Promise<string> {
  const command = new Deno.Command(program!, { args, stdin: "null" });
  const { success, stdout, stderr } = await command.output().catch((error) => {
    throw new Unavailable(`${program} cannot be run: ${error.message}`);
  });
  if (success) return new TextDecoder().decode(stdout);
  const reason = new TextDecoder().decode(stderr).trim();
  throw new Unavailable(`${program} ${args.join(" ")} failed: ${reason}`);
}
