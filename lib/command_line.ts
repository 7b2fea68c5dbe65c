/** Turns arguments and environment into what to do. */

import { Command, CommanderError, Option } from "commander";
import { type GivenOptions, type Options, readOptions, SETTINGS, UsageError } from "./options.ts";

/** What the command line asks for. */
export type Task =
  | { readonly kind: "serve"; readonly options: Options }
  | { readonly kind: "print"; readonly text: string };

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
  let printed = "";
  let task: Task | undefined;
  const program = new Command("signalbox")
    .description(
      "Signaling server for WebRTC: carries JSON messages between clients over WebSocket.",
    )
    .version(version, "--version", "print the version")
    .helpOption("--help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .configureOutput({ writeOut: (text) => printed += text, writeErr: () => {} })
    .exitOverride();
  const serve = program.command("serve", { isDefault: true })
    .description("serve (what signalbox does where no command is named)")
    .allowExcessArguments(false)
    .addHelpText("after", SERVE_HELP);
  for (const option of serveOptions()) serve.addOption(option);
  serve.action(() => {
    task = { kind: "serve", options: readOptions(given(serve), env) };
  });
  program.addHelpText("after", () => `\n${serve.helpInformation()}${SERVE_HELP}`);
  try {
    program.parse(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw new UsageError(oneLine(error.message));
  }
  return task ?? { kind: "print", text: printed };
}

const SERVE_HELP = `
Every option can be given as a variable, too: --register-timeout as
SIGNALBOX_REGISTER_TIMEOUT. Durations are written 500ms, 10s, 5m, 1h.
`;

function serveOptions(): Option[] {
  return Object.values(SETTINGS).map((setting) => {
    const option = new Option(setting.flag, setting.help);
    // Only for the help: readOptions, which knows the variables too, sets it.
    if ("default" in setting) option.argParser(String).default(undefined, setting.default);
    return option;
  });
}

/** What was written on the command line, by the names that options have in the program. */
function given(command: Command): GivenOptions {
  const written = command.opts<Record<string, string | undefined>>();
  const entries = Object.entries(SETTINGS).map(([name, setting]) => [
    name,
    written[new Option(setting.flag).attributeName()],
  ]);
  return Object.fromEntries(entries);
}

function oneLine(message: string): string {
  return message.replace(/^error: /, "").replaceAll(/\s*\n\s*/g, " ").trim();
}
