/** The tables of options say what the program does. */

import assert from "node:assert/strict";
import { type Setting, SETTINGS } from "../../lib/config/options.ts";
import { codeIn, readDocument, tableUnder } from "../helpers/documents.ts";

const settings = Object.values<Setting>(SETTINGS);
const operating = readDocument("operating");

/** Defaults that are computed or that are no value, in the words of the table. */
const DEFAULTS_IN_WORDS: Readonly<Record<string, string>> = {
  "--admin": "`127.0.0.1:8766`",
  "--allow-origin": "any",
  "--max-buffered-total": "an eighth of `--max-memory`",
  "--max-memory": "three quarters of the machine's",
};

function nameOf(flag: string): string {
  return flag.split(" ", 1)[0]!;
}

function defaultOf({ flag, default: byDefault }: Setting): string {
  return DEFAULTS_IN_WORDS[nameOf(flag)] ?? (byDefault === undefined ? "" : `\`${byDefault}\``);
}

Deno.test("operating.md has every option with its value and its default, in the order of the help", () => {
  const documented = tableUnder(operating, "Options").map(([flag, byDefault]) => [flag, byDefault]);
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
      assert.equal(byDefault, defaultOf(setting), flag);
      if (flag.includes(" ")) assert.equal(flag, setting.flag);
    }
  }
});

Deno.test("no document names an option that does not exist", () => {
  const known = new Set(settings.map(({ flag }) => nameOf(flag)));
  const others = ["--help", "--version", "--client-id", "--room", "--ttl"];
  for (const name of ["README", "protocol", "operating", "clients", "dialects", "cluster"]) {
    for (const code of codeIn(readDocument(name).text)) {
      if (!/^(--|signalbox )/.test(code)) continue;
      for (const [flag] of code.matchAll(/(?<![\w-])--[a-z][a-z-]*/g)) {
        assert.ok(known.has(flag) || others.includes(flag), `${flag} in ${name}`);
      }
    }
  }
});
