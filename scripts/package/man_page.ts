/** Makes the man page of the help that the program prints. */

import { readCommandLine } from "../../lib/config/command_line.ts";

/** The help of a command, as paragraphs: its usage, a sentence, lists of arguments and options, the rest. */
type Help = readonly string[];

const REST = `\
.SH FILES
.TP
.I /etc/signalbox/signalbox.env
Options of the service, as variables.
.TP
.I /usr/share/doc/signalbox/
The documents that
.B signalbox help
prints, too.
.SH EXIT STATUS
0: success. 1: a failure, such as a port in use. 2: a wrong option or value. 75: the memory limit was reached, and the
supervisor has to start the server again.
.SH SEE ALSO
.BR systemctl (1)
`;

/** @param date as `2026-11-28` */
export function makeManPage(version: string, date: string): string {
  const program = readHelp("--help");
  const names = [...listIn(program, "Commands").matchAll(/^ {2}(\w+)/gm)].map(([, name]) => name!);
  const commands = names.filter((name) => name !== "help").map((name) => readHelp("help", name));
  const usages = commands.map(([usage]) => `.B ${escape(usage!.replace("Usage: ", ""))}\n.br\n`);
  const options = commands.map((help) =>
    `.SS ${escape(help[0]!.replace("Usage: ", ""))}\n${listsIn(help).map(tag).join("")}`
  );
  const [, , environment = ""] = commands[names.indexOf("serve")]!.filter((part) => !isList(part));
  return `.TH SIGNALBOX 1 "${date}" "signalbox ${version}" "User Commands"
.SH NAME
signalbox \\- signaling server for WebRTC
.SH SYNOPSIS
${usages.join("")}.SH DESCRIPTION
${escape(program[1]!)}
.SH COMMANDS
${tag(listIn(program, "Commands"))}.SH OPTIONS
${tag(listIn(program, "Options"))}${options.join("")}.SH ENVIRONMENT
${escape(environment)}
${REST}`;
}

function readHelp(...args: string[]): Help {
  const task = readCommandLine(args, {}, "", { memoryBytes: 0, readTextFile: String });
  if (task.kind !== "print") throw new Error(`signalbox ${args.join(" ")} prints no help`);
  return task.text.trim().split("\n\n");
}

const isList = (part: string) => /^\w+:\n {2}/.test(part);

const listsIn = (help: Help) => help.filter(isList);

function listIn(help: Help, title: string): string {
  return help.find((part) => part.startsWith(`${title}:\n`))!;
}

/** Makes tagged paragraphs of a list: each term in a line that two spaces begin, its text aligned behind and below it. */
function tag(list: string): string {
  const joined = list.replace(/^.*\n/, "").replaceAll(/\n {3,}/g, " ");
  return joined.split("\n").map((line) => {
    const [, term = "", text = ""] = /^ {2}(\S.*?)(?: {2,}(.*))?$/.exec(line) ?? [];
    return `.TP\n.B ${escape(term)}\n${escape(text)}\n`;
  }).join("");
}

/** Escapes what roff would read as a request or another character. */
function escape(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll(/^(?=[.'])/gm, "\\&");
}
