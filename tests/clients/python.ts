/** Runs Python programs with the Python client at hand, as `signalbox`. */

import { DEBIAN_PYTHON, isMissing, succeeds } from "../helpers/tools.ts";

const CLIENT = new URL("../../lib/web/clients/client.py", import.meta.url);

/** Returns whether tests of the Python client have to be skipped. */
export function isWebsocketsMissing(): boolean {
  const what = "websockets for Python (Debian: python3-websockets)";
  return isMissing(succeeds(DEBIAN_PYTHON, "-c", "import websockets"), what);
}

/** Returns whether tests with aiortc have to be skipped. */
export function isAiortcMissing(): boolean {
  const what = "aiortc and websockets (Debian: python3-aiortc python3-websockets)";
  return isMissing(succeeds(DEBIAN_PYTHON, "-c", "import aiortc, websockets"), what);
}

/** A folder with the client as `signalbox.py`, as a user downloads it, on Python's path. */
export class PythonPath implements AsyncDisposable {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(): Promise<PythonPath> {
    const folder = await Deno.makeTempDir({ prefix: "signalbox-python-" });
    await Deno.copyFile(CLIENT, `${folder}/signalbox.py`);
    return new PythonPath(folder);
  }

  get env(): Record<string, string> {
    return { PYTHONPATH: this.folder, PYTHONDONTWRITEBYTECODE: "1" };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** Runs a command to its end, and throws all that it has printed if it fails. */
export async function succeed(
  [program, ...args]: readonly [string, ...string[]],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, ...options })
    .output();
  const decoder = new TextDecoder();
  const printed = decoder.decode(stdout) + decoder.decode(stderr);
  if (!success) throw new Error(printed);
  return printed;
}
