/** Reads the command line and the environment into a task. */

import { Command, CommanderError, Option } from "commander";
import type { TokenRequest } from "../auth/tokens.ts";
import type { CheckRequest } from "../check/check.ts";
import {
  CHECK_TOKEN,
  type Environment,
  findUnknownVariables,
  type GivenOptions,
  type Options,
  readFile,
  readOption,
  readOptions,
  readValue,
  type Setting,
  SETTINGS,
  type System,
  UsageError,
} from "./options.ts";
import { writeAddress } from "./admin_address.ts";
import { isClientId } from "../relay/vocabulary.ts";
import { readDurationMs, readMoreThanZeroMs, readOrigin } from "./parse.ts";

/** A command with its options. */
export type Task =
  | {
    readonly kind: "serve";
    readonly options: Options;
    /** Sentences for the log. */
    readonly warnings: readonly string[];
  }
  | ({ readonly kind: "token" } & TokenRequest)
  | { readonly kind: "check"; readonly request: CheckRequest }
  | { readonly kind: "healthcheck"; readonly url: URL }
  | { readonly kind: "document"; readonly topic: string }
  | { readonly kind: "print"; readonly text: string };

/** The documents that `help` prints. */
export const TOPICS: readonly string[] = [
  "protocol",
  "clients",
  "dialects",
  "deploying",
  "operating",
  "cluster",
  "performance",
  "design",
];

/**
 * Reads the command line.
 *
 * @param args without the program's name
 * @param version the text of `--version`
 * @throws {UsageError} with one line for the operator
 */
export function readCommandLine(
  args: readonly string[],
  env: Environment,
  version: string,
  system: System,
): Task {
  const [command, topic] = args;
  if (command === "help" && topic !== undefined && TOPICS.includes(topic)) {
    return { kind: "document", topic };
  }
  let printed = "";
  let task: Task | undefined;
  const program = new Command("signalbox")
    .description(
      "Signaling server for WebRTC: carries JSON messages between clients over WebSocket.",
    )
    .version(version, "--version", "print the version and the runtime's")
    .helpOption("--help", "print this help")
    .helpCommand(
      "help [command|topic]",
      `print the help of a command, or a document: ${TOPICS.join(", ")}`,
    )
    .configureOutput({
      writeOut: (text) => printed += text,
      writeErr: () => {},
      getOutHasColors: () => false, // or else they ask the environment
      getErrHasColors: () => false,
    })
    .exitOverride();
  const serve = program.command("serve", { isDefault: true })
    .description("serve clients; the default command")
    .allowExcessArguments(false)
    .addHelpText("after", SERVE_HELP);
  for (const setting of Object.values(SETTINGS)) serve.addOption(optionOf(setting));
  serve.action(() => {
    task = {
      kind: "serve",
      options: readOptions(given(serve), env, system),
      warnings: findUnknownVariables(env).map(([name, nearest]) =>
        `${name} is no option and is ignored. The nearest one is ${nearest}.`
      ),
    };
  });
  const token = program.command("token")
    .description("print a token signed with the secret, for one client ID")
    .requiredOption("--client-id <id>", "the client ID that it allows")
    .option("--room <room>", "the room that it allows; any without it")
    .option("--ttl <duration>", "how long it holds (default: 1h)")
    .addOption(optionOf(SETTINGS.authSecrets));
  token.action(() => {
    task = { kind: "token", ...readTokenRequest(token.opts(), env, system) };
  });
  addChecks(program, env, system, (check) => task = check);
  program.addHelpText("after", () => `\n${serve.helpInformation()}${SERVE_HELP}`);
  try {
    program.parse(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw new UsageError(explain(error, program, args));
  }
  return task ?? { kind: "print", text: printed };
}

/** Adds the commands that try a running server. */
function addChecks(
  program: Command,
  env: Environment,
  system: System,
  choose: (task: Task) => void,
): void {
  program.command("check")
    .description("try a running server as its clients would, step by step; status 0 or 1")
    .argument("[url]", "of the server; this machine's without it")
    .option(CHECK_TOKEN.flag, CHECK_TOKEN.help)
    .option(
      "--idle <duration>",
      "stay silent for this time, then try again: 75s (default: 0, not tried)",
    )
    .option("--origin <origin>", "of the pages that connect (default: the URL's own)")
    .option("--ca <file>", "certificate of an authority that your clients trust, PEM")
    .action((url: string | undefined, written: CheckOptions) => {
      choose({ kind: "check", request: readCheckRequest(url, written, env, system) });
    });
  program.command("healthcheck")
    .description("ask a running server whether it serves; status 0 or 1")
    .argument("[url]", "of the server; this machine's without it")
    .action((url?: string) => {
      choose({ kind: "healthcheck", url: readServerUrl("healthcheck", url, env, system) });
    });
}

const SERVE_HELP = `
Every option can be given as a variable, too: --max-message-size as
SIGNALBOX_MAX_MESSAGE_SIZE; one that is repeatable as a comma-separated list.
A secret can be read from a file: SIGNALBOX_AUTH_SECRET_FILE names it. Secrets
are not split at commas: several stand one a line in the file (--redis, too).
Durations are written 500ms, 10s, 5m, 1h; sizes 65536, 64KiB, 1MiB.
`;

/** An option as text: readOptions reads it, and the variables too. */
function optionOf(setting: Setting): Option {
  const byDefault = setting.default ?? setting.computedDefault;
  const help = byDefault === undefined ? setting.help : `${setting.help} (default: ${byDefault})`;
  const option = new Option(setting.flag, help);
  if (option.isBoolean() || option.negate) return option;
  return option.argParser<readonly string[] | true>((value, before) => {
    return [...(Array.isArray(before) ? before : []), value]; // true: given before without its value
  });
}

/** Collects the options of the command line, by their names in the program. */
function given(command: Command): GivenOptions {
  const written = command.opts<Record<string, readonly string[] | boolean | undefined>>();
  const entries = Object.entries<Setting>(SETTINGS).map(([name, setting]) => {
    const option = new Option(setting.flag);
    const value = written[option.attributeName()];
    if (option.negate) return [name, value === false ? "true" : undefined]; // x is true without --no-x
    return [name, value === true ? "true" : value]; // true: given without its optional value
  });
  return Object.fromEntries(entries);
}

function readTokenRequest(
  written: Readonly<Record<"clientId" | "room" | "ttl", string | undefined>> & {
    readonly authSecret?: readonly string[];
  },
  env: Environment,
  system: System,
): TokenRequest {
  const secrets = readOption(SETTINGS.authSecrets, written.authSecret, env, system);
  const [secret] = secrets as Options["authSecrets"] ?? [];
  if (secret === undefined) {
    throw new UsageError(
      "token needs --auth-secret, SIGNALBOX_AUTH_SECRET or SIGNALBOX_AUTH_SECRET_FILE to sign with",
    );
  }
  return {
    secret,
    clientId: readValue("--client-id", readClientId, written.clientId ?? ""),
    room: written.room === undefined ? undefined : readValue("--room", readClientId, written.room),
    ttlMs: readValue("--ttl", readMoreThanZeroMs, written.ttl ?? "1h"),
  };
}

function readClientId(text: string): string {
  if (isClientId(text)) return text;
  throw new RangeError("1 to 128 characters without control characters");
}

function readServer(text: string): URL {
  const url = URL.parse(text.replace(/^ws/, "http"));
  const isWeb = url?.protocol === "http:" || url?.protocol === "https:";
  if (isWeb && url.port !== "0") return Object.assign(url, { username: "", password: "" });
  throw new RangeError("the URL of a server such as http://127.0.0.1:8765");
}

type CheckOptions = Readonly<Partial<Record<"token" | "idle" | "origin" | "ca", string>>>;

function readCheckRequest(
  given: string | undefined,
  { token, idle = "0", origin, ca }: CheckOptions,
  env: Environment,
  system: System,
): CheckRequest {
  const url = readServerUrl("check", given, env, system);
  const ownOrigin = given === undefined ? null : url.origin; // no app's page has that of loopback
  url.protocol = url.protocol.replace("http", "ws");
  return {
    url,
    isOwnMachine: given === undefined,
    token: readOption(CHECK_TOKEN, token, env, system) as string ?? null,
    origin: origin === undefined ? ownOrigin : readValue("--origin", readPageOrigin, origin),
    idleMs: readValue("--idle", readDurationMs, idle),
    caCerts: ca === undefined ? [] : [readCertificates(ca, system)],
  };
}

/** Reads an origin that a page has, so no pattern. */
function readPageOrigin(text: string): string {
  if (!text.includes("*")) return readOrigin(text);
  throw new RangeError("the origin of one page, such as https://www.example.org, without *");
}

/** @throws {Error} if the file cannot be read, or has no certificate */
function readCertificates(path: string, system: System): string {
  const text = readFile("--ca", path, system);
  if (/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.test(text)) return text;
  throw new Error(
    `--ca ${path} holds no certificate: it takes PEM, which begins with ` +
      "-----BEGIN CERTIFICATE-----",
  );
}

/** Returns the server to ask: the one that was named, or this machine's, as the environment describes it. */
function readServerUrl(
  command: string,
  given: string | undefined,
  env: Environment,
  system: System,
): URL {
  if (given !== undefined) return readValue(command, readServer, given, /[@?]/.test(given));
  const read = (setting: Setting) => readOption(setting, undefined, env, system);
  const host = read(SETTINGS.host) as string;
  const own = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  const scheme = read(SETTINGS.tlsCert) === undefined ? "http" : "https";
  const port = read(SETTINGS.port) as number;
  if (port === 0) throw new UsageError(`${command} needs a URL: SIGNALBOX_PORT=0 names no port`);
  const address = { hostname: own, port };
  return new URL(`${scheme}://${writeAddress(address)}`);
}

/** Shortens commander's message to one line, without the value of an unknown option: it may be a secret. */
function explain(
  { code, message }: CommanderError,
  program: Command,
  args: readonly string[],
): string {
  const names = `${program.commands.map((command) => command.name()).join(", ")} and help`;
  if (code === "commander.help") {
    return `help takes a command (${names}) or a document (${TOPICS.join(", ")})`;
  }
  const isCommand = program.commands.some((command) => command.name() === args[0]);
  if (code === "commander.excessArguments" && !isCommand && !args[0]?.startsWith("-")) {
    return `there is no command ${JSON.stringify(args[0])}: those that exist are ${names}`;
  }
  const [, command, taken, given] =
    /too many arguments for '(.+?)'\. Expected (\d+) .*? but got \d+: (.*)\.$/s.exec(message) ?? [];
  if (given !== undefined) {
    const count = taken === "0" ? "no argument" : `${taken} argument`;
    return `${command} takes ${count}, not ${JSON.stringify(given)}`;
  }
  const [, short] = /unknown option '-([hvV])'/.exec(message) ?? [];
  if (short !== undefined) {
    return `unknown option '-${short}': write ${short === "h" ? "--help" : "signalbox --version"}`;
  }
  const [, flag, value] = /unknown option '(--[^=]+)=(.*)'/s.exec(message) ?? [];
  if (Object.values<Setting>(SETTINGS).some((setting) => setting.flag === flag)) { // of a switch
    return `${flag} takes no value, not ${JSON.stringify(value)}`;
  }
  return message.replace(/^error: /, "").replace(/^(unknown option '[^=]*)=.*'/s, "$1'")
    .replaceAll(/\s*\n\s*/g, " ").trim();
}
