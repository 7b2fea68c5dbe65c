/**
 * Peers of three makes call each other through the program, in the core protocol: aiortc in Python, webrtcbin in C++,
 * and Chromium. All that they send stays on this machine.
 */

import assert from "node:assert/strict";
import { ServingProgram } from "../helpers/program.ts";
import { DEBIAN_PYTHON, isFile, isMissing, succeeds } from "../helpers/tools.ts";
import { isChromiumMissing } from "../helpers/chromium.ts";
import { PagePeer, type Peer, ProgramPeer } from "../interop/peers.ts";

const FOLDER = new URL("../interop/", import.meta.url).pathname;
const CPP_LIBRARIES = ["gstreamer-webrtc-1.0", "gstreamer-sdp-1.0", "libsoup-3.0", "json-glib-1.0"];
const ICE_ADDRESS = "127.0.0.1";
const SENDER = "sender_001";
const RECEIVER = "receiver_001";

const lacksPython = isMissing(
  succeeds(DEBIAN_PYTHON, "-c", "import aiortc, websockets"),
  "aiortc and websockets (Debian: python3-aiortc python3-websockets)",
);
const lacksChromium = isChromiumMissing();
const lacksCpp = isMissing(
  succeeds("g++", "--version") && succeeds("pkg-config", "--exists", ...CPP_LIBRARIES) &&
    hasPlugins("webrtc", "nice", "vpx"),
  "GStreamer, libsoup and a compiler (the packages that tests/interop/sender.cpp lists)",
);

const receivers = [
  { name: "Python", isLacking: lacksPython, start: receivePython },
  { name: "Chromium", isLacking: lacksChromium, start: receiveChromium },
];
const senders = [
  { name: "Python", isLacking: lacksPython, start: sendPython },
  { name: "Chromium", isLacking: lacksChromium, start: sendChromium },
  { name: "C++", isLacking: lacksCpp, start: sendCpp },
];

for (const sender of senders) {
  for (const receiver of receivers) {
    Deno.test({
      name: `a sender in ${sender.name} calls a receiver in ${receiver.name}`,
      ignore: sender.isLacking || receiver.isLacking,
      async fn() {
        await using server = await ServingProgram.start(["--log-level", "warn"]);
        await using called = await receiver.start(server.url);
        await called.said(`registered: ${RECEIVER}`);
        await using caller = await sender.start(server.url);
        await assertTheyTalk(caller, called);
      },
    });
  }
}

/** Data goes both ways, and video to the receiver. */
async function assertTheyTalk(caller: Peer, called: Peer): Promise<void> {
  await caller.said(`registered: ${SENDER}`);
  await called.said(`offer from ${SENDER}`);
  for (const peer of [caller, called]) {
    await peer.said("connected");
    await peer.said("data channel open");
  }
  await called.said(`received: hello from ${SENDER}`);
  await caller.said(`received: hello from ${RECEIVER}`);
  await called.said("video frames: 30 (320x240)");
}

function receivePython(server: string): Peer {
  return python("receiver_demo.py", server, "--client-id", RECEIVER);
}

function sendPython(server: string): Peer {
  const ids = ["--client-id", SENDER, "--target-id", RECEIVER];
  return python("sender_demo.py", server, ...ids, "--video");
}

function python(program: string, server: string, ...args: string[]): Peer {
  const shared = ["--server", server, "--ice-address", ICE_ADDRESS];
  return new ProgramPeer([DEBIAN_PYTHON, FOLDER + program, ...shared, ...args]);
}

function receiveChromium(server: string): Promise<Peer> {
  return PagePeer.open({ server, client_id: RECEIVER });
}

function sendChromium(server: string): Promise<Peer> {
  return PagePeer.open({ server, client_id: SENDER, target_id: RECEIVER });
}

async function sendCpp(server: string): Promise<Peer> {
  const folder = await Deno.makeTempDir({ prefix: "signalbox-sender-" });
  const remove = () => Deno.remove(folder, { recursive: true });
  try {
    const program = await compileCpp(folder);
    const config = `${folder}/sender.json`;
    await Deno.writeTextFile(config, JSON.stringify(cppConfig(server)));
    return new ProgramPeer([program, config], remove);
  } catch (error) {
    await remove();
    throw error;
  }
}

function cppConfig(server: string): Record<string, unknown> {
  return { client_id: SENDER, target_id: RECEIVER, server, ice_address: ICE_ADDRESS };
}

/** Compiles as the first lines of sender.cpp say. */
async function compileCpp(folder: string): Promise<string> {
  const program = `${folder}/sender`;
  const flags = await output("pkg-config", "--cflags", "--libs", ...CPP_LIBRARIES);
  const source = `${FOLDER}sender.cpp`;
  await output("g++", "-std=c++20", source, "-o", program, ...flags.trim().split(/\s+/));
  return program;
}

async function output(command: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args }).output();
  assert(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

/** True if GStreamer has these plugins, which are packages of their own. */
function hasPlugins(...names: string[]): boolean {
  const args = ["--variable=pluginsdir", "gstreamer-1.0"];
  const { stdout } = new Deno.Command("pkg-config", { args }).outputSync();
  const folder = new TextDecoder().decode(stdout).trim();
  return names.every((name) => isFile(`${folder}/libgst${name}.so`));
}
