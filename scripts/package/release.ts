/** Makes a release in `dist/release/`: executables, Debian packages, the clients' packages, and what installs them. */

import { createHash } from "node:crypto";
import config from "../../deno.json" with { type: "json" };
import { messageOf } from "../../lib/log.ts";
import { type Architecture, makeDeb, makeUnit, type Release } from "./deb.ts";
import { TARGETS } from "../compile_all.ts";
import { makeEnvFile } from "./env_file.ts";
import { addExecutables, compile, nameOf, type Target } from "./executables.ts";
import { run } from "./run.ts";

const TOP = new URL("../../", import.meta.url).pathname;
const CLIENTS = `${TOP}lib/web/clients`;
const FOLDER = `${TOP}dist/release`;

const ARCHITECTURES: readonly (readonly [Target, Architecture])[] = [
  ["x86_64-unknown-linux-gnu", "amd64"],
  ["aarch64-unknown-linux-gnu", "arm64"],
];

/** Files of the source that a release has as they are. */
const COPIED = [
  "LICENSE",
  "scripts/alerts.yml",
  "scripts/grafana-dashboard.json",
  "scripts/package/Dockerfile",
];

/** Names the address that `install.sh` downloads from by default. */
const URL_VARIABLE = "RELEASE_URL";

/**
 * Makes a release in an empty folder.
 *
 * @param make returns the path of an executable, or throws
 * @param url the address that `install.sh` downloads from by default, or an empty text
 * @returns the targets that there is no executable for, each with the reason
 */
export function makeRelease(
  folder: string,
  make: (target: Target) => string,
  url: string,
  compression: Release["compression"] = "xz",
): ReadonlyMap<Target, string> {
  const release = { version: config.version, date: readDate(config.version), compression };
  const missing = addExecutables(folder, make);
  for (const [target, architecture] of ARCHITECTURES) {
    if (missing.has(target)) continue;
    makeDeb(folder, `${folder}/${nameOf(target)}`, architecture, release);
  }
  addClients(folder);
  for (const path of COPIED) Deno.copyFileSync(TOP + path, `${folder}/${path.split("/").pop()}`);
  Deno.writeTextFileSync(`${folder}/signalbox.service`, makeUnit("/usr/local/bin"));
  Deno.writeTextFileSync(`${folder}/signalbox.env`, makeEnvFile());
  const installer = Deno.readTextFileSync(`${TOP}scripts/package/install.sh`);
  Deno.writeTextFileSync(
    `${folder}/install.sh`,
    installer.replace(/^(release_url)=.*$/m, `$1='${url}'`),
  );
  const isExecutable = (name: string) => /^signalbox-\w+-\w+-|\.sh$/.test(name);
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).toSorted();
  for (const name of names) Deno.chmodSync(`${folder}/${name}`, isExecutable(name) ? 0o755 : 0o644);
  const sums = names.map((name) => `${sumOf(`${folder}/${name}`)}  ${name}\n`); // as sha256sum -c reads them
  Deno.writeTextFileSync(`${folder}/SHA256SUMS`, sums.join(""));
  return missing;
}

function sumOf(path: string): string {
  return createHash("sha256").update(Deno.readFileSync(path)).digest("hex");
}

/** Reads from the changelog when a version was released. */
function readDate(version: string): Release["date"] {
  const changelog = Deno.readTextFileSync(`${TOP}lib/web/docs/CHANGELOG.md`);
  const heading = changelog.split("\n").find((line) => line.startsWith(`## ${version} · `));
  if (heading === undefined) throw new Error(`CHANGELOG.md has no heading for ${version}.`);
  return heading.slice(-"2026-11-28".length);
}

/** Makes the packages of the clients, with the licence. */
function addClients(folder: string): void {
  const cwd = Deno.makeTempDirSync({ prefix: "signalbox-clients-" });
  try {
    for (const { name, isFile } of Deno.readDirSync(CLIENTS)) {
      if (isFile) Deno.copyFileSync(`${CLIENTS}/${name}`, `${cwd}/${name}`);
    }
    Deno.copyFileSync(`${TOP}LICENSE`, `${cwd}/LICENSE`);
    run("npm", ["pack", "--pack-destination", folder], { cwd });
    const args = ["-m", "hatchling", "build", "--target", "wheel", "--directory", folder];
    run(findPython(), args, { cwd });
  } finally {
    Deno.removeSync(cwd, { recursive: true });
  }
}

/** Programs of the system that a release is made with. */
const TOOLS = ["dpkg-deb", "gzip", "du", "npm"];

/** @throws {Error} that names every program that is missing */
function checkTools(): void {
  const missing: string[] = [];
  const attempts = TOOLS.map((tool) => () => run(tool, ["--version"]));
  for (const attempt of [...attempts, findPython]) {
    try {
      attempt();
    } catch (error) {
      missing.push(messageOf(error));
    }
  }
  if (missing.length > 0) throw new Error(missing.join("\n"));
}

/** Finds a Python with hatchling: the first on the path need not be Debian's. */
function findPython(): string {
  const found = ["python3", "/usr/bin/python3"].find((python) => {
    try {
      return run(python, ["-c", "import hatchling"]) === "";
    } catch {
      return false;
    }
  });
  if (found !== undefined) return found;
  throw new Error(
    "A release is made with hatchling: pip install hatchling, or Debian's python3-hatchling.",
  );
}

/** Makes a release of what can be made here; with `--complete` it fails without an executable for each target. */
function main(): void {
  Deno.chdir(TOP);
  checkTools(); // before the release that is there is removed
  Deno.mkdirSync(FOLDER, { recursive: true });
  for (const { name } of Deno.readDirSync(FOLDER)) Deno.removeSync(`${FOLDER}/${name}`);
  const missing = makeRelease(FOLDER, compile, Deno.env.get(URL_VARIABLE) ?? "");
  for (
    const { name } of [...Deno.readDirSync(FOLDER)].toSorted((a, b) => a.name < b.name ? -1 : 1)
  ) {
    console.log(`dist/release/${name}`);
  }
  for (const [target, reason] of missing) console.log(`No executable for ${target}: ${reason}`);
  if (missing.size === TARGETS.length) throw new Error("There is no executable.");
  if (Deno.args.includes("--complete") && missing.size > 0) throw new Error("It is not complete.");
}

if (import.meta.main) {
  try {
    main();
  } catch (error) {
    console.error(messageOf(error));
    Deno.exit(1);
  }
}
