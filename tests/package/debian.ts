/** A small Debian, which tests install packages into. */

import { hasCommand, isMissing } from "../helpers/tools.ts";
import { succeed } from "./confined.ts";

const MAKE_DEBIAN = new URL("make_debian", import.meta.url).pathname;

/** Returns whether tests in a Debian have to be left out. */
export function isDebianMissing(): boolean {
  return isMissing(hasCommand("mmdebstrap"), "mmdebstrap (Debian: mmdebstrap)") ||
    isMissing(Deno.uid() === 0, "root, for a root folder of its own");
}

export class Debian implements AsyncDisposable {
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }

  /** Makes one, or copies the one that the environment names: CI makes it while it compiles. */
  static async make(): Promise<Debian> {
    const root = await Deno.makeTempDir({ prefix: "signalbox-debian-" });
    const made = Deno.env.get("TEST_DEBIAN");
    try {
      await succeed(made === undefined ? [MAKE_DEBIAN, root] : ["cp", "-a", `${made}/.`, root]);
    } catch (error) {
      await Deno.remove(root, { recursive: true });
      throw error;
    }
    return new Debian(root);
  }

  /** Runs a command in it, as root. */
  async run(...command: readonly string[]): Promise<string> {
    const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", DEBIAN_FRONTEND: "noninteractive" };
    return await succeed(["chroot", this.root, ...command], { ...env, LC_ALL: "C" });
  }

  /** Puts a file of this machine below `/tmp` in it, and returns its path there. */
  async bring(file: string): Promise<string> {
    const path = `/tmp/${file.split("/").pop()}`;
    await Deno.copyFile(file, this.root + path);
    return path;
  }

  async read(path: string): Promise<string> {
    return await Deno.readTextFile(this.root + path);
  }

  async write(path: string, text: string, mode = 0o644): Promise<void> {
    await Deno.mkdir((this.root + path).replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeTextFile(this.root + path, text);
    await Deno.chmod(this.root + path, mode);
  }

  /** The mode of a file, `0600`; null if there is none. */
  async mode(path: string): Promise<string | null> {
    try {
      const { mode } = await Deno.lstat(this.root + path);
      return `0${(mode! & 0o777).toString(8)}`;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return null;
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.root, { recursive: true });
  }
}
