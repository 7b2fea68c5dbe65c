/** Turns arguments and environment into what to do. */

import { Command, CommanderError, Option } from "commander";
import type { TokenRequest } from "../auth/tokens.ts";
import {
  type GivenOptions,
  type Options,
  readOption,
  readOptions,
  readValue,
  type Setting,
  SETTINGS,
  UsageError,
} from "./options.ts";
import { isClientId } from "../relay/vocabulary.ts";
import { readMoreThanZeroMs } from "./parse.ts";

/** What the command line asks for. */
export type Task =
  | { readonly kind: "serve"; readonly options: Options }
  | ({ readonly kind: "token" } & TokenRequest)
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

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the command line.
 *
 * @param args without the program's name
 * @throws {UsageError} with one line for the person who wrote it
 */
export function readCommandLine(
  args: readonly string[],
  env: Environment,
  version: string,
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
    .version(version, "--version", "print the version")
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
    .description("serve clients; the command where none is named")
    .allowExcessArguments(false)
    .addHelpText("after", SERVE_HELP);
  for (const setting of Object.values(SETTINGS)) serve.addOption(optionOf(setting));
  serve.action(() => {
    task = { kind: "serve", options: readOptions(given(serve), env) };
  });
  const token = program.command("token")
    .description("print a token signed with the secret, for one client ID")
    .requiredOption("--client-id <id>", "the client ID that it allows")
    .option("--room <room>", "the room that it allows; any without it")
    .option("--ttl <duration>", "how long it holds (default: 1h)")
    .addOption(optionOf(SETTINGS.authSecret));
  token.action(() => {
    task = { kind: "token", ...readTokenRequest(token.opts(), env) };
  });
  program.addHelpText("after", () => `\n${serve.helpInformation()}${SERVE_HELP}`);
  try {
    program.parse(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw new UsageError(explain(error));
  }
  return task ?? { kind: "print", text: printed };
}

const SERVE_HELP = `
Every option can be given as a variable, too: --max-message-size as
SIGNALBOX_MAX_MESSAGE_SIZE; one that is repeatable as a comma-separated list.
Durations are written 500ms, 10s, 5m, 1h; sizes 65536, 64KiB, 1MiB.
`;

/** An option as text: readOptions reads it, and the variables too. */
function optionOf(setting: Setting): Option {
  const byDefault = setting.default === undefined ? "" : ` (default: ${setting.default})`;
  const option = new Option(setting.flag, setting.help + byDefault);
  if (setting.repeatable) {
    option.argParser<string>((value, before) => before ? `${before},${value}` : value);
  }
  return option;
}

/** What was written on the command line, by the names that options have in the program. */
function given(command: Command): GivenOptions {
  const written = command.opts<Record<string, string | boolean | undefined>>();
  const entries = Object.entries<Setting>(SETTINGS).map(([name, setting]) => {
    const option = new Option(setting.flag);
    const value = written[option.attributeName()];
    if (option.negate) return [name, value === false ? "true" : undefined]; // x is true without --no-x
    return [name, value === true ? "true" : value]; // true: given without its optional value
  });
  return Object.fromEntries(entries);
}

function readTokenRequest(
  written: Readonly<Record<"clientId" | "room" | "ttl" | "authSecret", string | undefined>>,
  env: Environment,
): TokenRequest {
  const secret = readOption(SETTINGS.authSecret, written.authSecret, env) as string | undefined;
  if (secret === undefined) {
    throw new UsageError("token needs --auth-secret, or SIGNALBOX_AUTH_SECRET, to sign with");
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

/** What commander says, in one line and without the value of an option that it does not know: it may be a secret. */
function explain({ code, message }: CommanderError): string {
  if (code === "commander.help") return "help takes the name of a command: serve or token";
  return message.replace(/^error: /, "").replace(/^(unknown option '[^=]*)=.*'/s, "$1'")
    .replaceAll(/\s*\n\s*/g, " ").trim();
}
