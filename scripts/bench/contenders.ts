/** The servers that are compared: signalbox, and the alternatives. All speak the same protocol. */

/** A server that can be started. */
export interface Contender {
  readonly name: string;
  /** Version of the runtime. */
  readonly version: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Something that this machine does not have. */
class Unavailable extends Error {}

/** All ratios are to this one. */
export const BASELINE = "bare Deno";

/** The choice of the command line. */
export interface Wanted {
  /** Each a `main.ts` of signalbox. */
  readonly main: readonly string[];
  readonly executable?: string;
  /** The log levels to measure it at. */
  readonly levels: readonly string[];
  /** Options of signalbox, each a contender more. */
  readonly with: readonly string[];
  /** Names of {@link OTHER_RELAYS}; false for none. */
  readonly relays: readonly string[] | false;
}

/**
 * The list of contenders, the baseline first. What is missing on this machine is left out, and `say` gets the reason.
 *
 * @throws {Error} if signalbox itself cannot be run
 */
export async function chooseContenders(
  wanted: Wanted,
  say: (line: string) => void,
): Promise<Contender[]> {
  const list = [bareDeno()];
  for (const [index, main] of wanted.main.entries()) {
    const name = wanted.main.length === 1 ? "signalbox" : `signalbox ${index + 1}`;
    for (const level of wanted.levels) {
      const named = level === "warn" ? name : `${name}, ${level} to a file`;
      list.push(await signalbox(named, fromSource(main), ["--log-level", level]));
    }
    for (const extra of wanted.with) {
      const options = [...QUIET, ...extra.split(/[ =]/)];
      list.push(await signalbox(`${name}, ${extra}`, fromSource(main), options));
    }
  }
  const { executable } = wanted;
  if (executable !== undefined) {
    list.push(await signalbox("signalbox, executable", [executable], QUIET));
  }
  return [...list, ...await otherRelays(wanted.relays || [], say)];
}

async function otherRelays(
  names: readonly string[],
  say: (line: string) => void,
): Promise<Contender[]> {
  const list: Contender[] = [];
  for (const name of names) {
    try {
      list.push(await OTHER_RELAYS[name as keyof typeof OTHER_RELAYS](cacheDirectory()));
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      say(`Left out: ${name}. ${error.message}`);
    }
  }
  return list;
}

/** Folder for the packages of other relays, outside of the project. */
function cacheDirectory(): string {
  return `${Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`}/signalbox-bench`;
}

const RELAYS = `${import.meta.dirname}/relays`;

/** The baseline runs without the project's settings of the runtime. */
function bareDeno(): Contender {
  const flags = ["--no-config", "--allow-net", "--no-prompt"];
  return {
    name: BASELINE,
    version: Deno.version.deno,
    command: [Deno.execPath(), "run", ...flags, `${RELAYS}/deno.ts`],
  };
}

/** Nothing for each message. */
export const QUIET = ["--log-level", "warn"] as const;

/**
 * Options of signalbox in the benchmark: all at their defaults, but for limits that would be in the way. They are raised, not
 * off, so that they cost what they cost. An option that the measured version does not have is left out.
 */
const SIGNALBOX_OPTIONS = {
  "--host": "127.0.0.1",
  "--port": "0",
  "--admin": "127.0.0.1:0",
  "--rate-limit": "1000000",
  "--rate-burst": "1000000",
  "--max-connections": "1000000",
} as const;

/** The command that runs signalbox from its `main.ts`. */
export function fromSource(main: string): string[] {
  const permissions = ["--allow-net", "--allow-env", "--allow-read", "--no-prompt"];
  return [Deno.execPath(), "run", ...permissions, main];
}

/**
 * Signalbox.
 *
 * @param program the executable, or what {@link fromSource} gives
 * @param options more than {@link SIGNALBOX_OPTIONS}
 * @throws {Unavailable} if it does not run
 */
export async function signalbox(
  name: string,
  program: readonly string[],
  options: readonly string[],
): Promise<Contender> {
  const help = await outputOf([...program, "--help"]);
  const known = Object.entries(SIGNALBOX_OPTIONS).filter(([flag]) => help.includes(`${flag} `));
  const [version = ""] = /\d\S*/.exec(await outputOf([...program, "--version"])) ?? [];
  return { name, version, command: [...program, ...known.flat(), ...options] };
}

/** The relays other than bare Deno; each gets the folder for its packages. */
export const OTHER_RELAYS = { node, bun, python } as const;

async function node(cache: string): Promise<Contender> {
  const node = await onNode(cache, "ws", WS_VERSION, ["node.cjs"]);
  return { ...node, name: "Node, ws", version: `${node.version}, ws ${WS_VERSION}` };
}

const WS_VERSION = "8.23.0";

/** PeerServer, which speaks PeerJS' protocol and no other. */
export async function peerServer(): Promise<Contender> {
  const node = await onNode(cacheDirectory(), "peer", PEER_VERSION, ["peer_server.cjs"]);
  return { ...node, name: "PeerServer", version: `${PEER_VERSION} on Node ${node.version}` };
}

const PEER_VERSION = "1.0.2";

/** The server in the package of y-webrtc, which speaks that protocol and no other. */
export async function yWebrtcServer(): Promise<Contender> {
  const cache = cacheDirectory();
  const program = `${cache}/node_modules/y-webrtc/bin/server.js`;
  const node = await onNode(cache, "y-webrtc", Y_WEBRTC_VERSION, ["y_webrtc_server.cjs", program]);
  return {
    ...node,
    name: "y-webrtc's server",
    version: `${Y_WEBRTC_VERSION} on Node ${node.version}`,
  };
}

const Y_WEBRTC_VERSION = "10.3.0";

/** A relay that uses a package of npm; its version is Node's. */
async function onNode(
  cache: string,
  name: string,
  version: string,
  [relay, ...args]: readonly string[],
): Promise<Contender> {
  await installPackage(cache, name, version);
  return {
    name,
    version: (await outputOf(["node", "--version"])).trim().slice(1),
    command: ["node", `${RELAYS}/${relay}`, ...args],
    env: { NODE_PATH: `${cache}/node_modules` },
  };
}

async function bun(cache: string): Promise<Contender> {
  // The package `bun` picks one of these with a script when it is installed; this does without scripts.
  const name = `@oven/bun-linux-${Deno.build.arch === "x86_64" ? "x64" : "aarch64"}`;
  await installPackage(cache, name, BUN_VERSION);
  const program = `${cache}/node_modules/${name}/bin/bun`;
  return { name: "Bun", version: BUN_VERSION, command: [program, `${RELAYS}/bun.js`] };
}

const BUN_VERSION = "1.4.5";

async function python(): Promise<Contender> {
  for (const program of ["python3", "/usr/bin/python3"]) {
    const version = await outputOf([program, "-c", PYTHON_VERSIONS]).catch(() => null);
    if (version === null) continue;
    const command = [program, `${RELAYS}/python.py`];
    return { name: "Python, websockets", version: version.trim(), command };
  }
  throw new Unavailable("No python3 has the package websockets (Debian: python3-websockets).");
}

const PYTHON_VERSIONS = `
import platform, websockets
print(f"{platform.python_version()}, websockets {websockets.__version__}")
`;

async function installPackage(cache: string, name: string, version: string): Promise<void> {
  const manifest = `${cache}/node_modules/${name}/package.json`;
  const installed = await Deno.readTextFile(manifest).then(JSON.parse, () => null);
  if (installed?.version === version) return;
  await Deno.mkdir(cache, { recursive: true });
  const options = ["--prefix", cache, "--ignore-scripts", "--no-audit", "--no-fund"];
  await outputOf(["npm", "install", ...options, `${name}@${version}`]);
}

/** @throws {Unavailable} if it cannot be run, or fails */
async function outputOf([program, ...args]: readonly string[]): Promise<string> {
  const command = new Deno.Command(program!, { args, env: { NO_COLOR: "1" }, stdin: "null" });
  const { success, stdout, stderr } = await command.output().catch((error) => {
    throw new Unavailable(`${program} cannot be run: ${error.message}`);
  });
  if (success) return new TextDecoder().decode(stdout);
  const reason = new TextDecoder().decode(stderr).trim();
  throw new Unavailable(`${program} ${args.join(" ")} failed: ${reason}`);
}
