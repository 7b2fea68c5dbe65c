/**
 * Peers of three makes call each other through the program: aiortc in Python, webrtcbin in C++, and Chromium with
 * nothing but the core protocol. All that they send stays on this machine.
 */

import { isAiortcMissing } from "../clients/python.ts";
import { isChromiumMissing } from "../helpers/chromium.ts";
import { ServingProgram } from "../helpers/program.ts";
import { PagePeer, type Peer } from "../interop/peers.ts";
import { isCppMissing, startCpp, startPython } from "../interop/programs.ts";

const SENDER = "sender_001";
const RECEIVER = "receiver_001";
const IDS = ["--client-id", SENDER, "--target-id", RECEIVER];

const lacksPython = isAiortcMissing();
const lacksChromium = isChromiumMissing();

interface Make {
  readonly name: string;
  readonly isLacking: boolean;
  readonly start: (server: string) => Promise<Peer>;
}

const receivers: readonly Make[] = [
  {
    name: "Python",
    isLacking: lacksPython,
    start: (server) => startPython("receiver_demo.py", server, "--client-id", RECEIVER),
  },
  {
    name: "Chromium",
    isLacking: lacksChromium,
    start: (server) => PagePeer.open({ server, client_id: RECEIVER }),
  },
];
const senders: readonly Make[] = [
  {
    name: "Python",
    isLacking: lacksPython,
    start: (server) => startPython("sender_demo.py", server, ...IDS, "--video"),
  },
  {
    name: "Chromium",
    isLacking: lacksChromium,
    start: (server) => PagePeer.open({ server, client_id: SENDER, target_id: RECEIVER }),
  },
  {
    name: "C++",
    isLacking: isCppMissing(),
    start: (server) => startCpp(server, SENDER, RECEIVER),
  },
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
