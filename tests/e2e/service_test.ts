/** The systemd unit is one that systemd takes, and leaves the program no rights that it does not need. */

import assert from "node:assert/strict";
import { SETTINGS } from "../../lib/config/options.ts";
import { readBytes } from "../../lib/config/parse.ts";
import { hasCommand, isMissing } from "../helpers/tools.ts";

const UNIT = new URL("../../scripts/signalbox.service", import.meta.url).pathname;
/** On systemd's scale from 0, safe, to 10. */
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

Deno.test("systemd takes the unit", async () => {
  if (lacksSystemd()) return;
  const folder = await Deno.makeTempDir();
  try {
    const copy = `${folder}/signalbox.service`; // the executable need not be installed for this
    await Deno.writeTextFile(copy, unit.replace(/^ExecStart=.*$/m, "ExecStart=/bin/true"));
    assert.deepEqual(await analyze("verify", "--man=no", copy), { success: true, output: "" });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
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
