/** Makes a Debian package of an executable, with the unit, the options, the documents and a man page. */

import { createHash } from "node:crypto";
import { makeEnvFile } from "./env_file.ts";
import { makeManPage } from "./man_page.ts";
import { run } from "./run.ts";

const TOP = new URL("../../", import.meta.url).pathname;
const DEBIAN = `${TOP}scripts/package/debian`;
const DOCUMENTS = "usr/share/doc/signalbox";
const ENV_FILE = "etc/signalbox/signalbox.env";

/** The oldest glibc that the executable runs with: the newest version of a symbol that it asks for. */
const GLIBC = "2.27";

export type Architecture = "amd64" | "arm64";

export interface Release {
  readonly version: string;
  /** Day of the release, `2026-11-28`. */
  readonly date: string;
  /** Compression of the package, as dpkg-deb names it: xz takes half a minute and makes it 24 MB, gzip two seconds, 38 MB. */
  readonly compression: "xz" | "gzip";
}

/** Makes `signalbox_<version>_<architecture>.deb` in `folder`. */
export function makeDeb(
  folder: string,
  executable: string,
  architecture: Architecture,
  release: Release,
): void {
  const root = Deno.makeTempDirSync({ prefix: "signalbox-deb-" });
  Deno.chmodSync(root, 0o755); // it stands for / in the package
  try {
    addFiles(root, executable, release);
    const [kibibytes = ""] = run("du", ["-sk", root]).split("\t", 1);
    addControl(root, {
      Version: debianVersion(release.version),
      Architecture: architecture,
      "Installed-Size": kibibytes,
    });
    const seconds = Date.parse(release.date) / 1000;
    const compression = `-Z${release.compression}`;
    run("dpkg-deb", [compression, "--root-owner-group", "--build", root, folder], {
      env: { SOURCE_DATE_EPOCH: String(seconds) }, // the same files make the same package
    });
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
}

/** A version before a release sorts before it: `1.0.0-rc.1` is `1.0.0~rc.1`. */
function debianVersion(version: string): string {
  return version.replace("-", "~");
}

function addFiles(root: string, executable: string, { version, date }: Release): void {
  const write = (path: string, text: string, mode = 0o644) => put(root, path, text, mode);
  const copy = (path: string, from: string) => write(path, Deno.readTextFileSync(TOP + from));
  makeFolder(`${root}/usr/bin`);
  Deno.copyFileSync(executable, `${root}/usr/bin/signalbox`);
  Deno.chmodSync(`${root}/usr/bin/signalbox`, 0o755);
  write("lib/systemd/system/signalbox.service", makeUnit("/usr/bin"));
  write(ENV_FILE, makeEnvFile(), 0o600);
  copyFolder(`${TOP}lib/web/docs`, `${root}/${DOCUMENTS}`);
  copy(`${DOCUMENTS}/examples/alerts.yml`, "scripts/alerts.yml");
  copy(`${DOCUMENTS}/examples/grafana-dashboard.json`, "scripts/grafana-dashboard.json");
  write(`${DOCUMENTS}/copyright`, makeCopyright());
  write(`${DOCUMENTS}/changelog`, makeChangelog(debianVersion(version), date));
  write("usr/share/man/man1/signalbox.1", makeManPage(version, date));
  write("usr/share/lintian/overrides/signalbox", readDebian("lintian-overrides"));
  run("gzip", ["-9n", `${root}/${DOCUMENTS}/changelog`, `${root}/usr/share/man/man1/signalbox.1`]);
}

/** The unit, without the head that is about the source, and with the executable in `folder`. */
export function makeUnit(folder: string): string {
  const unit = Deno.readTextFileSync(`${TOP}scripts/signalbox.service`);
  return unit.replace(/^(#.*\n)+\n/, "").replace("/usr/local/bin/", `${folder}/`);
}

/** Lists the digests of all files but the conffile, by which `dpkg --verify` finds changed ones. */
function listDigests(root: string, folder = ""): string[] {
  return [...Deno.readDirSync(`${root}/${folder}`)].flatMap(({ name, isDirectory }) => {
    const path = `${folder}${name}`;
    if (path === "DEBIAN" || path === ENV_FILE) return [];
    if (isDirectory) return listDigests(root, `${path}/`);
    const digest = createHash("md5").update(Deno.readFileSync(`${root}/${path}`)).digest("hex");
    return [`${digest}  ${path}\n`];
  }).toSorted((a, b) => a.slice(34) < b.slice(34) ? -1 : 1);
}

function addControl(root: string, fields: Readonly<Record<string, string>>): void {
  const write = (name: string, text: string, mode = 0o644) =>
    put(root, `DEBIAN/${name}`, text, mode);
  for (const script of ["postinst", "prerm", "postrm"]) write(script, readDebian(script), 0o755);
  write("conffiles", `/${ENV_FILE}\n`);
  write("md5sums", listDigests(root).join(""));
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\n`).join("");
  const depends = `Depends: libc6 (>= ${GLIBC}), libgcc-s1\n`;
  write("control", readDebian("control").replace(/^(?=Description:)/m, lines + depends));
}

function makeCopyright(): string {
  const [, , ...paragraphs] = Deno.readTextFileSync(`${TOP}LICENSE`).trim().split("\n\n");
  const text = paragraphs.join("\n\n").replaceAll(/^$/gm, ".").replaceAll(/^/gm, " ");
  return `${readDebian("copyright")}License: Expat\n${text}\n`;
}

function makeChangelog(version: string, date: string): string {
  const time = new Date(date).toUTCString().replace("GMT", "+0000");
  return `signalbox (${version}) stable; urgency=medium

  * Changes: CHANGELOG.md in this folder.

 -- The signalbox authors <signalbox@example.org>  ${time}
`;
}

function readDebian(name: string): string {
  return Deno.readTextFileSync(`${DEBIAN}/${name}`);
}

function put(root: string, path: string, text: string, mode: number): void {
  const file = `${root}/${path}`;
  makeFolder(file.replace(/\/[^/]*$/, ""));
  Deno.writeTextFileSync(file, text);
  Deno.chmodSync(file, mode); // the umask has no say
}

function makeFolder(path: string): void {
  Deno.mkdirSync(path, { recursive: true });
}

function copyFolder(from: string, to: string): void {
  makeFolder(to);
  for (const { name, isDirectory } of Deno.readDirSync(from)) {
    if (isDirectory) copyFolder(`${from}/${name}`, `${to}/${name}`);
    else Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
  }
}
