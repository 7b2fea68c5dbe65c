/** install.sh installs from a web server, and says in words why it cannot. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { isMissing } from "../helpers/tools.ts";

const SCRIPT = new URL("../../scripts/package/install.sh", import.meta.url).pathname;

/** Commands that the script needs of every machine. */
const COMMANDS = [
  "sh",
  "uname",
  "mktemp",
  "rm",
  "mkdir",
  "chmod",
  "cp",
  "mv",
  "sed",
  "cat",
  "cut",
  "tr",
];

const PROGRAM = "#!/bin/sh\necho signalbox 1.2.3\n";

type Files = Readonly<Record<string, string>>;

const sumOf = (text: string) => createHash("sha256").update(text).digest("hex");

/** The files of a release with an executable for each machine. */
function release(program = PROGRAM): Files {
  const targets = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];
  const files = Object.fromEntries(targets.map((target) => [`signalbox-${target}`, program]));
  const sums = Object.entries(files).map(([name, text]) => `${sumOf(text)}  ${name}\n`);
  return { ...files, SHA256SUMS: sums.join("") };
}

interface Machine {
  readonly files?: Files;
  /** Commands on the path beside those that every machine has. */
  readonly commands?: readonly string[];
  /** Commands in place of the machine's, as scripts. */
  readonly scripts?: Files;
  readonly env?: Record<string, string>;
  /** Arguments in place of the release's address. */
  readonly args?: readonly string[];
}

interface Result {
  readonly status: number;
  readonly printed: string;
  /** The text of the executable, null if there is none. */
  readonly installed: string | null;
  /** Permissions of the executable, null if there is none. */
  readonly mode: number | null;
  /** Names in the folder for the executable. */
  readonly names: readonly string[];
}

/** Serves a release below `/1.2.3`, at a free port. */
function serve(files: Files) {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const body = files[new URL(request.url).pathname.slice("/1.2.3/".length)];
    return new Response(body ?? "no such file", { status: body === undefined ? 404 : 200 });
  });
}

/** Runs the script on a machine with few commands, whose administrator lets no other user read new files. */
async function install(machine: Machine = {}): Promise<Result> {
  const { files = release(), commands = ["curl", "sha256sum"], scripts = {} } = machine;
  await using server = serve(files);
  const url = `http://127.0.0.1:${server.addr.port}/1.2.3`;
  const folder = await Deno.makeTempDir();
  try {
    const bin = `${folder}/bin`;
    const PATH = await makePath(`${folder}/path`, [...COMMANDS, ...commands], scripts);
    const { code, stdout, stderr } = await new Deno.Command("/bin/sh", {
      args: ["-c", 'umask 077; exec /bin/sh "$@"', "sh", SCRIPT, ...machine.args ?? [url]],
      env: { PATH, BIN_DIR: bin, TMPDIR: folder, ...machine.env },
      clearEnv: true,
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    const printed = decoder.decode(stdout) + decoder.decode(stderr);
    const installed = await Deno.readTextFile(`${bin}/signalbox`).catch(() => null);
    const mode = await Deno.stat(`${bin}/signalbox`)
      .then(({ mode }) => mode! & 0o777).catch(() => null);
    const names = await Array.fromAsync(Deno.readDir(bin), ({ name }) => name).catch(() => []);
    const left = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    assert.deepEqual(left.filter((name) => name !== "path" && name !== "bin"), []);
    const shown = printed.replaceAll(url, "URL").replaceAll(folder, "");
    return { status: code, printed: shown, installed, mode, names };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Makes a folder for PATH, with commands of this machine and scripts in their place. */
async function makePath(folder: string, commands: readonly string[], scripts: Files) {
  await Deno.mkdir(folder);
  for (const path of await find(commands.filter((name) => scripts[name] === undefined))) {
    await Deno.symlink(path, `${folder}/${path.split("/").pop()}`);
  }
  for (const [name, text] of Object.entries(scripts)) {
    await Deno.writeTextFile(`${folder}/${name}`, text, { mode: 0o755 });
  }
  return folder;
}

async function find(names: readonly string[]): Promise<readonly string[]> {
  const args = ["-c", 'for name; do command -v "$name"; done', "sh", ...names];
  const { stdout } = await new Deno.Command("sh", { args }).output();
  return new TextDecoder().decode(stdout).trim().split("\n");
}

/** Answers the script's question on a terminal, on a machine whose folders are empty and in memory. */
const ON_A_TERMINAL = `
set -e
for folder in /run /etc /usr/local; do mount -t tmpfs tmpfs $folder; done
mkdir -p /run/systemd/system /etc/systemd/system /usr/local/bin
printf '#!/bin/sh\necho "systemctl $*"; [ "$1" != is-active ]\n' >/usr/local/bin/systemctl
chmod 755 /usr/local/bin/systemctl
echo "$2" | script --quiet --return --command "sh '$0' '$1'" /dev/null
for file in /etc/systemd/system/* /etc/signalbox/*; do stat --format '%n %a' $file; done
`;

const isUnsupported = isMissing(Deno.build.os === "linux", "Linux");

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `install.sh ${name}`, ignore: isUnsupported, fn });
}

test("puts the executable in place, and says so", async () => {
  const { status, printed, installed, mode, names } = await install();
  assert.equal(status, 0, printed);
  assert.equal(installed, PROGRAM);
  assert.equal(mode, 0o755);
  assert.deepEqual(names, ["signalbox"]);
  assert.equal(printed, "signalbox 1.2.3 is /bin/signalbox.\nStart it: /bin/signalbox\n");
});

test("reads sums with CRLF", async () => {
  const files = release();
  const SHA256SUMS = files.SHA256SUMS!.replaceAll("\n", "\r\n");
  const { status, printed } = await install({ files: { ...files, SHA256SUMS } });
  assert.equal(status, 0, printed);
});

test("works with wget and shasum", async () => {
  const shasum = '#!/bin/sh\nexec /usr/bin/sha256sum "$3"\n';
  const { status, printed } = await install({ commands: ["wget"], scripts: { shasum } });
  assert.equal(status, 0, printed);
});

/** Machines that it does not install on, each with the words. */
const FAILURES: Readonly<Record<string, readonly [Machine, RegExp]>> = {
  "neither curl nor wget": [{ commands: ["sha256sum"] }, /curl or wget is needed/],
  "nothing that checks a sum": [{ commands: ["curl"] }, /sha256sum or shasum is needed/],
  "an unknown system": [
    { scripts: { uname: "#!/bin/sh\necho Plan9\n" } },
    /there is no executable for Plan9:/,
  ],
  "an unknown machine": [
    { scripts: { uname: '#!/bin/sh\n[ "$1" = -m ] && echo riscv64 || echo Linux\n' } },
    /there is no executable for riscv64: x86_64 and aarch64/,
  ],
  "an executable that is not what the sums say": [
    { files: { ...release("#!/bin/sh\necho evil\n"), SHA256SUMS: release().SHA256SUMS! } },
    /^install\.sh: URL\/signalbox-\S+ is not what SHA256SUMS says: .+ It was not installed\.$/m,
  ],
  "an address that is no release's": [
    { files: {} },
    /^install\.sh: cannot download URL\/SHA256SUMS: is this the address of a release\?$/m,
  ],
  "a release without an executable for it": [
    { files: { SHA256SUMS: `${sumOf("")}  signalbox-mips-unknown-linux-gnu\n` } },
    /^install\.sh: URL has no signalbox-\w+-unknown-linux-gnu\.$/m,
  ],
  "an executable that does not run on it": [
    { files: release("#!/bin/sh\necho GLIBC_2.27 not found >&2; exit 1\n") },
    /does not run on this machine: it needs glibc 2\.27 .+Alpine.+ GLIBC_2\.27 not found$/m,
  ],
  "a folder that is not writable": [
    { env: { BIN_DIR: "/proc/signalbox" } },
    /^install\.sh: \/proc\/signalbox is not writable: run this as root \(sudo sh\), or .+BIN_DIR=/m,
  ],
  "a page in place of the sums": [
    { files: { ...release(), SHA256SUMS: "<!DOCTYPE html>" } },
    /SHA256SUMS is not a list of sums: is URL the address of a release\?/,
  ],
  "an option in place of the address": [{ args: ["-x"] }, /^install\.sh: -x is not the address/],
  "a folder that no program runs in": [
    { files: release("#!/bin/sh\necho Permission denied >&2\nexit 126\n") },
    /^install\.sh: no program can be run in \/bin, which is mounted noexec/m,
  ],
  "no address": [{ args: [] }, /^install\.sh: which release\? Give its address:/],
};

for (const [what, [machine, words]] of Object.entries(FAILURES)) {
  test(`fails in words: ${what}`, async () => {
    const { status, printed, installed, names } = await install(machine);
    assert.match(printed, words);
    assert.equal(status, 1);
    assert.deepEqual([installed, names], [null, []]);
  });
}

Deno.test({
  name: "install.sh offers the unit on a terminal, and installs it",
  ignore: isUnsupported || isMissing(Deno.uid() === 0, "root, for folders of its own"),
  async fn() {
    const unit = { "signalbox.service": "[Service]\n", "signalbox.env": "#SIGNALBOX_PORT=\n" };
    const sums = Object.entries(unit).map(([name, text]) => `${sumOf(text)}  ${name}\n`);
    const files = release();
    await using server = serve({ ...files, ...unit, SHA256SUMS: files.SHA256SUMS + sums.join("") });
    const url = `http://127.0.0.1:${server.addr.port}/1.2.3`;
    const { success, stdout, stderr } = await new Deno.Command("unshare", {
      args: ["--mount", "sh", "-c", ON_A_TERMINAL, SCRIPT, url, "yes"],
    }).output();
    const printed = new TextDecoder().decode(stdout).replaceAll("\r", "");
    assert.ok(success, printed + new TextDecoder().decode(stderr));
    assert.match(printed, /Run it as a service, now and at each start of the machine\? \[y\/N\]/);
    assert.match(printed, /systemctl enable --quiet signalbox\nsystemctl restart signalbox\n/);
    assert.match(printed, /^\/etc\/systemd\/system\/signalbox\.service 644$/m);
    assert.match(printed, /^\/etc\/signalbox\/signalbox\.env 600$/m);
  },
});
