/** Starts the peers that are programs: aiortc in Python, webrtcbin in C++. */

import { DEBIAN_PYTHON, isFile, isMissing, succeeds } from "../helpers/tools.ts";
import { PythonPath, succeed } from "../clients/python.ts";
import { ProgramPeer } from "./peers.ts";

const FOLDER = new URL(".", import.meta.url).pathname;
const CPP_LIBRARIES = ["gstreamer-webrtc-1.0", "gstreamer-sdp-1.0", "libsoup-3.0", "json-glib-1.0"];
const ICE_ADDRESS = "127.0.0.1";

/** Starts a program of this folder, such as `receiver_demo.py`, with its options. */
export async function startPython(
  program: string,
  server: string,
  ...args: readonly string[]
): Promise<ProgramPeer> {
  const path = await PythonPath.make();
  const shared = ["--server", server, "--ice-address", ICE_ADDRESS];
  return new ProgramPeer([DEBIAN_PYTHON, FOLDER + program, ...shared, ...args], {
    env: path.env,
    onEnded: () => path[Symbol.asyncDispose](),
  });
}

/** Returns whether tests with {@link startCpp} have to be skipped. */
export function isCppMissing(): boolean {
  const isThere = succeeds("g++", "--version") &&
    succeeds("pkg-config", "--exists", ...CPP_LIBRARIES) && hasPlugins("webrtc", "nice", "vpx");
  const what =
    "GStreamer, libsoup and a compiler (the packages that tests/interop/sender.cpp lists)";
  return isMissing(isThere, what);
}

/** Compiles and starts `sender.cpp`. */
export async function startCpp(
  server: string,
  clientId: string,
  targetId: string,
): Promise<ProgramPeer> {
  const folder = await Deno.makeTempDir({ prefix: "signalbox-sender-" });
  const remove = () => Deno.remove(folder, { recursive: true });
  try {
    const program = await compileCpp(folder);
    const config = `${folder}/sender.json`;
    const ids = { client_id: clientId, target_id: targetId };
    await Deno.writeTextFile(
      config,
      JSON.stringify({ ...ids, server, ice_address: ICE_ADDRESS }),
    );
    return new ProgramPeer([program, config], { onEnded: remove });
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Compiles as the first lines of sender.cpp say. */
async function compileCpp(folder: string): Promise<string> {
  const program = `${folder}/sender`;
  const flags = await succeed(["pkg-config", "--cflags", "--libs", ...CPP_LIBRARIES]);
  const source = `${FOLDER}sender.cpp`;
  await succeed(["g++", "-std=c++20", source, "-o", program, ...flags.trim().split(/\s+/)]);
  return program;
}

/** Returns whether GStreamer has these plugins, which are packages of their own. */
function hasPlugins(...names: string[]): boolean {
  const args = ["--variable=pluginsdir", "gstreamer-1.0"];
  const { stdout } = new Deno.Command("pkg-config", { args }).outputSync();
  const folder = new TextDecoder().decode(stdout).trim();
  return names.every((name) => isFile(`${folder}/libgst${name}.so`));
}
