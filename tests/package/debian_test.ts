/** A release is complete, its Debian package behaves, and its executable runs in a container's root. */

import assert from "node:assert/strict";
import { makeDeb } from "../../scripts/package/deb.ts";
import { makeRelease } from "../../scripts/package/release.ts";
import config from "../../deno.json" with { type: "json" };
import { exchange } from "../helpers/core_exchange.ts";
import { findExecutable, isExecutableMissing } from "../helpers/executable.ts";
import { hasCommand, isMissing } from "../helpers/tools.ts";
import { confine, ConfinedServer, succeed } from "./confined.ts";
import { Debian, isDebianMissing } from "./debian.ts";

const UNIT = "/lib/systemd/system/signalbox.service";
const ENV_FILE = "/etc/signalbox/signalbox.env";
const WANTED = "/etc/systemd/system/multi-user.target.wants/signalbox.service";
/** The users that systemd takes for DynamicUser=, and distroless for nonroot. */
const DYNAMIC_UID = 61_234;
const NONROOT_UID = 65_532;

/** Makes the package of another version, with a small executable: what is tested is the package. */
function makeSmallDeb(folder: string, version: string): string {
  makeDeb(folder, "/usr/bin/true", "amd64", { version, date: "2026-11-28", compression: "gzip" });
  return `${folder}/signalbox_${version}_amd64.deb`;
}

async function checkRelease(folder: string, executable: string): Promise<void> {
  const missing = makeRelease(folder, () => executable, "https://example.org/0.1.0", "gzip");
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
  assert.equal(missing.size, 4);
  assert.deepEqual(names.filter((name) => /^signalbox-\w+-\w+-/.test(name)), [
    `signalbox-${Deno.build.target}`,
  ]);
  for (const suffix of ["_amd64.deb", ".tgz", "-py3-none-any.whl"]) {
    assert.ok(names.some((name) => name.includes(config.version) && name.endsWith(suffix)), suffix);
  }
  const listed = await succeed(["sh", "-c", 'cd "$0" && tar tzf *.tgz; unzip -l *.whl', folder]);
  for (const name of ["package/LICENSE", "package/README.md", "licenses/LICENSE"]) {
    assert.ok(listed.includes(name), listed);
  }
  const unit = await Deno.readTextFile(`${folder}/signalbox.service`);
  assert.match(unit, /^\[Unit\]/, "it speaks of the source");
  const installer = await Deno.readTextFile(`${folder}/install.sh`);
  assert.match(installer, /^release_url='https:\/\/example\.org\/0\.1\.0'$/m);
  const checked = await succeed(["sh", "-c", 'cd "$0" && sha256sum -c SHA256SUMS', folder]);
  assert.equal(checked.trim().split("\n").length, names.length - 1);
}

/** Stands for systemctl, as no systemd runs there: it enables, and writes down what it is called with. */
const SYSTEMCTL = `#!/bin/sh
wanted=${WANTED}
echo "$*" >>/systemctl.log
case "$*" in
  *" preset "*) mkdir -p "\${wanted%/*}" && ln -sf ${UNIT} $wanted ;;
  *" is-enabled "*) if [ -h $wanted ]; then echo enabled; else echo disabled; exit 1; fi ;;
esac
`;

async function takeLog(debian: Debian): Promise<string[]> {
  const log = await debian.read("/systemctl.log");
  await debian.write("/systemctl.log", "");
  return log.trim().split("\n").flatMap((line) => /(?:re)?start|stop/.exec(line) ?? []);
}

async function checkInstallation(debian: Debian, deb: string): Promise<void> {
  await debian.write("/usr/bin/systemctl", SYSTEMCTL, 0o755);
  await Deno.mkdir(`${debian.root}/run/systemd/system`, { recursive: true });
  await debian.run("dpkg", "--install", await debian.bring(deb));
  assert.equal(await debian.mode("/usr/bin/signalbox"), "0755");
  assert.equal(await debian.run("dpkg", "--verify", "signalbox"), "");
  assert.match(await debian.read("/var/lib/dpkg/info/signalbox.md5sums"), /usr\/bin\/signalbox$/m);
  assert.equal(await debian.mode(ENV_FILE), "0600");
  assert.notEqual(await debian.mode(WANTED), null, "it is not enabled");
  assert.deepEqual(await takeLog(debian), ["start"]);
}

/** Runs the unit's command line as systemd would: with its variables, as its user, on a read-only root. */
async function checkService(debian: Debian): Promise<void> {
  const unit = await debian.read(UNIT);
  const [, command] = /^ExecStart=(.*)$/m.exec(unit)!;
  const [, file] = /^EnvironmentFile=-(.*)$/m.exec(unit)!;
  assert.equal(file, ENV_FILE);
  const variables = `${unit}\n${await debian.read(ENV_FILE)}`
    .matchAll(/^(?:Environment=)?(SIGNALBOX_\w+)=(.*)$/gm);
  const env = Object.fromEntries([...variables].map(([, name, value]) => [name!, value!]));
  assert.deepEqual(env, { SIGNALBOX_MAX_MEMORY: "768MiB" });
  await using server = await ConfinedServer.start(
    confine(debian.root, DYNAMIC_UID, command!),
    env,
  );
  await exchange(server.url);
  const [, reload] = /^ExecReload=(.*)$/m.exec(unit)!;
  await debian.run("env", `MAINPID=${server.pid}`, "sh", "-c", reload!);
  await server.logged("SIGHUP: there is no certificate");
  server.signal("SIGTERM");
  assert.equal(await server.ended(), 0);
}

async function checkUpgrade(debian: Debian, folder: string): Promise<void> {
  await debian.write(ENV_FILE, "SIGNALBOX_PORT=9000\n", 0o600);
  const install = async (version: string) =>
    await debian.run("dpkg", "--install", await debian.bring(makeSmallDeb(folder, version)));
  await install("0.1.1");
  assert.equal(await debian.read(ENV_FILE), "SIGNALBOX_PORT=9000\n");
  assert.equal(await debian.mode(ENV_FILE), "0600");
  assert.deepEqual(await takeLog(debian), ["restart"]);
  await Deno.remove(debian.root + WANTED); // systemctl disable
  await install("0.1.2");
  assert.equal(await debian.mode(WANTED), null, "it was disabled, and is enabled again");
}

async function checkRemoval(debian: Debian): Promise<void> {
  await debian.run("dpkg", "--remove", "signalbox");
  assert.ok((await takeLog(debian)).includes("stop"));
  assert.equal(await debian.mode("/usr/bin/signalbox"), null);
  assert.equal(await debian.read(ENV_FILE), "SIGNALBOX_PORT=9000\n");
  await debian.run("dpkg", "--purge", "signalbox");
  const left = await debian.run("find", "/etc", "/var/lib/systemd", "-name", "*signalbox*");
  assert.equal(left, "");
}

/** Runs the executable as the image does: what the base image has that it needs is glibc and libgcc. */
async function checkContainer(debian: Debian, executable: string): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "signalbox-container-" });
  try {
    await Deno.chmod(root, 0o755);
    const list = await debian.run("dpkg", "--listfiles", "libc6", "libgcc-s1");
    const libraries = list.split("\n").filter((path) =>
      /\.so(\.\d+)*$/.test(path) && path.split("/").length <= 5
    );
    for (const path of libraries) {
      await Deno.mkdir(root + path.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.copyFile(debian.root + path, root + path);
    }
    for (const folder of ["proc", "dev"]) await Deno.mkdir(`${root}/${folder}`);
    for (const device of ["null", "urandom"]) await Deno.writeTextFile(`${root}/dev/${device}`, "");
    await Deno.copyFile(executable, `${root}/signalbox`);
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const command = confine(root, NONROOT_UID, "/signalbox");
      await using server = await ConfinedServer.start(command, {});
      await exchange(server.url);
      const check = confine(root, NONROOT_UID, "/signalbox", "healthcheck", server.httpUrl);
      assert.match(await succeed(check), /"status":"ok"/);
      server.signal(signal);
      assert.equal(await server.ended(), 0);
    }
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("a release is complete, installs on Debian, and runs in a container's root", async (t) => {
  const executable = findExecutable();
  if (isExecutableMissing(executable) || isDebianMissing()) return;
  if (isMissing(hasCommand("lintian"), "lintian (Debian: lintian)")) return;
  await using debian = await Debian.make();
  const folder = await Deno.makeTempDir({ prefix: "signalbox-release-" });
  try {
    await t.step("a release has what it should", () => checkRelease(folder, executable));
    await t.step("lintian finds no errors in the package", async () => {
      const deb = makeSmallDeb(folder, "0.1.1");
      await succeed(["lintian", "--allow-root", "--fail-on", "error", deb]);
    });
    const deb = `${folder}/signalbox_${config.version}_amd64.deb`;
    await t.step(
      "the package enables and starts the service",
      () => checkInstallation(debian, deb),
    );
    await t.step("the service's command line serves", () => checkService(debian));
    await t.step(
      "an upgrade keeps the options and restarts, but enables nothing",
      () => checkUpgrade(debian, folder),
    );
    await t.step("remove leaves the options, purge leaves nothing", () => checkRemoval(debian));
    await t.step(
      "the executable serves in a container's root",
      () => checkContainer(debian, executable),
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
