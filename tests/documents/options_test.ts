/** The tables of options say what the program does. */

import assert from "node:assert/strict";
import { readCommandLine, TOPICS } from "../../lib/config/command_line.ts";
import { type Setting, SETTINGS } from "../../lib/config/options.ts";
import { codeIn, readDocument, tableUnder } from "../helpers/documents.ts";

const settings = Object.values<Setting>(SETTINGS);
const operating = readDocument("operating");

/** Defaults that the option itself does not have, in the words of the table. */
const DEFAULTS_IN_WORDS: Readonly<Record<string, string>> = {
  "--admin": "127.0.0.1:8766",
  "--allow-origin": "any",
};

function nameOf(flag: string): string {
  return flag.split(" ", 1)[0]!;
}

function defaultOf({ flag, default: byDefault, computedDefault }: Setting): string {
  return byDefault ?? computedDefault ?? DEFAULTS_IN_WORDS[nameOf(flag)] ?? "";
}

Deno.test("operating.md has every option with its value and its default, in the order of the help", () => {
  const documented = tableUnder(operating, "Options")
    .map(([flag, byDefault]) => [flag, byDefault!.replaceAll("`", "")]);
  assert.deepEqual(
    documented,
    settings.map((setting) => [`\`${setting.flag}\``, defaultOf(setting)]),
  );
});

Deno.test("operating.md names every secret that can be read from a file", () => {
  const [, secrets = ""] = /^\*\*Secrets\*\*[^:]*For (.*?), the\s+variable with `_FILE`/ms
    .exec(operating.text.replace("values or files.", "")) ?? [];
  const expected = settings.filter(({ secret }) => secret).map(({ flag }) => nameOf(flag));
  assert.deepEqual(codeIn(secrets).toSorted(), expected.toSorted());
});

Deno.test("README shows options as they are", () => {
  for (const [flags, byDefault] of tableUnder(readDocument("README"), "On a server")) {
    for (const flag of codeIn(flags!)) {
      const setting = settings.find((setting) => nameOf(setting.flag) === nameOf(flag));
      assert.ok(setting, flag);
      assert.equal(byDefault!.replaceAll("`", ""), defaultOf(setting), flag);
      if (flag.includes(" ")) assert.equal(flag, setting.flag);
    }
  }
});

Deno.test("no document names an option that does not exist", () => {
  const known = new Set(settings.map(({ flag }) => nameOf(flag)));
  const ofCommands = ["--client-id", "--room", "--ttl", "--token", "--idle", "--origin", "--ca"];
  const ofPeers = ["--video", "--ice-address"]; // of tests/interop/
  const others = ["--help", "--version", ...ofCommands, ...ofPeers];
  for (const name of ["README", "protocol", "operating", "clients", "dialects", "cluster"]) {
    for (const code of codeIn(readDocument(name).text)) {
      if (!/^(--|signalbox )/.test(code)) continue;
      for (const [flag] of code.matchAll(/(?<![\w-])--[a-z][a-z-]*/g)) {
        assert.ok(known.has(flag) || others.includes(flag), `${flag} in ${name}`);
      }
    }
  }
});

Deno.test("operating.md has every command, and help for documents of every topic", () => {
  const help = readCommandLine(["help"], {}, "1.2.3", { memoryBytes: 0, readTextFile: String });
  assert.ok(help.kind === "print");
  const commands = [.../^Commands:\n(.*?)\n\n/ms.exec(help.text)![1]!.matchAll(/^ {2}(\w+)/gm)]
    .map(([, command]) => command!);
  const table = tableUnder(operating, "Commands");
  const documented = table.map(([usage]) => /^`signalbox \[?(\w+)/.exec(usage!)?.[1])
    .filter((command) => command !== undefined);
  assert.deepEqual(new Set(documented), new Set(commands));
  const [, topics] = table.find(([usage]) => usage === "`signalbox help TOPIC`")!;
  assert.deepEqual(codeIn(topics!).toSorted(), TOPICS.toSorted());
});
