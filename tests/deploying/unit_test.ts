/** The systemd unit is one that systemd takes, and leaves the program no rights that it does not need. */

import assert from "node:assert/strict";
import { findUnknownVariables, SETTINGS } from "../../lib/config/options.ts";
import { readBytes } from "../../lib/config/parse.ts";
import { hasCommand, isMissing } from "../helpers/tools.ts";
import { printedFile } from "./document.ts";

const UNIT = new URL("../../scripts/signalbox.service", import.meta.url).pathname;
const DROP_INS = "/etc/systemd/system/signalbox.service.d";
/** Upper bound on systemd's scale from 0, safe, to 10. */
const MAX_EXPOSURE = 2;

const unit = Deno.readTextFileSync(UNIT);

function setting(name: string): string | undefined {
  return new RegExp(`^${name}=(.*)$`, "m").exec(unit)?.[1];
}

async function analyze(...args: readonly string[]) {
  const { success, stdout, stderr } = await new Deno.Command("systemd-analyze", { args: [...args] })
    .output();
  const decoder = new TextDecoder();
  return { success, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

const lacksSystemd = () =>
  isMissing(hasCommand("systemd-analyze"), "systemd-analyze (Debian: systemd)");

/** Returns the complaints of systemd about units. Files are named below the folder of the units. */
async function verify(files: Readonly<Record<string, string>>) {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) {
      await Deno.mkdir(`${folder}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
      // The executable need not be installed for this.
      await Deno.writeTextFile(
        `${folder}/${name}`,
        text.replace(/^ExecStart=.*$/m, "ExecStart=/bin/true"),
      );
    }
    const [first] = Object.keys(files);
    return await analyze("verify", "--man=no", `${folder}/${first}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const FLAWLESS = { success: true, output: "" };

Deno.test("systemd takes the unit", async () => {
  if (lacksSystemd()) return;
  assert.deepEqual(await verify({ "signalbox.service": unit }), FLAWLESS);
});

Deno.test("systemd takes the printed drop-ins, and sees an error in one", async () => {
  if (lacksSystemd()) return;
  const verifyWith = (dropIn: string) =>
    verify({ "signalbox.service": unit, "signalbox.service.d/more.conf": dropIn });
  for (const name of ["tokens.conf", "turn.conf", "tls.conf", "tls.conf, with credentials"]) {
    assert.deepEqual(await verifyWith(printedFile(`${DROP_INS}/${name}`)), FLAWLESS, name);
  }
  const { output } = await verifyWith("[Service]\nLoadCredentials=a:/b\n");
  assert.match(output, /LoadCredentials/);
});

Deno.test("systemd takes the unit's lines for secrets", async () => {
  if (lacksSystemd()) return;
  const lines = unit.match(/^#(?:LoadCredential|Environment)=.*$/gm)!;
  const dropIn = ["[Service]", ...lines.map((line) => line.slice(1))].join("\n");
  const files = { "signalbox.service": unit, "signalbox.service.d/secrets.conf": dropIn };
  assert.deepEqual(await verify(files), FLAWLESS);
  const variables = dropIn.match(/SIGNALBOX_\w+(?==)/g)!;
  assert.ok(variables.length > 0);
  assert.deepEqual(
    findUnknownVariables(Object.fromEntries(variables.map((name) => [name, "1"]))),
    [],
  );
});

Deno.test("systemd takes the printed unit of the backend", async () => {
  if (lacksSystemd()) return;
  const backend = printedFile("/etc/systemd/system/tokens.service");
  assert.deepEqual(await verify({ "tokens.service": backend }), FLAWLESS);
});

Deno.test("every option in the printed drop-ins and the environment file exists", () => {
  const titles = ["tokens.conf", "turn.conf", "tls.conf", "tls.conf, with credentials"];
  const files = ["/etc/signalbox/signalbox.env", ...titles.map((name) => `${DROP_INS}/${name}`)];
  const flags = Object.values(SETTINGS).map(({ flag }) => flag.split(" ", 1)[0]!);
  for (const file of files) {
    const variables = printedFile(file).match(/SIGNALBOX_\w+/g)!;
    for (const variable of variables) {
      const name = variable.replace(/^SIGNALBOX_/, "").replace(/_FILE$/, "");
      const flag = `--${name.toLowerCase().replaceAll("_", "-")}`;
      assert.ok(flags.includes(flag), `${variable} in ${file}`);
    }
  }
});

Deno.test("a reload sends the signal at which the program reads its certificate anew", () => {
  assert.equal(setting("ExecReload"), "/bin/sh -c 'kill -HUP $MAINPID'");
});

Deno.test("the unit is hardened", async () => {
  if (lacksSystemd()) return;
  const { output } = await analyze("security", "--offline=true", "--no-pager", UNIT);
  const [, exposure] = /Overall exposure level for signalbox\.service: ([\d.]+)/.exec(output) ?? [];
  assert(Number(exposure) <= MAX_EXPOSURE, output);
});

Deno.test("the unit leaves V8 its compiler", () => {
  assert.equal(setting("MemoryDenyWriteExecute"), undefined);
});

Deno.test("the unit starts it again, and the program gives up before the kernel takes its memory", () => {
  assert.equal(setting("Restart"), "always");
  const [, ownLimit] = /^Environment=SIGNALBOX_MAX_MEMORY=(.*)$/m.exec(unit) ?? [];
  const kernelLimit = setting("MemoryMax")?.replace(/([KMG])$/, "$1iB");
  assert(readBytes(ownLimit!) < readBytes(kernelLimit!));
  assert.equal(setting("MemorySwapMax"), "0");
});

Deno.test("the unit allows more files than there can be connections, and more time than a shutdown takes", () => {
  assert(Number(setting("LimitNOFILE")) > Number(SETTINGS.maxConnections.default));
  const seconds = (duration?: string) => Number(/^(\d+)s$/.exec(duration ?? "")?.[1]);
  assert(seconds(setting("TimeoutStopSec")) > seconds(SETTINGS.drainTimeoutMs.default));
});
