/**
 * Calls between the clients, each through a restart of the server and a cut connection. The call goes on, both sides
 * come back and resume, and the signaling works as before.
 */

import { isChromiumMissing } from "../helpers/chromium.ts";
import { ServingProgram } from "../helpers/program.ts";
import { Proxy } from "../helpers/proxy.ts";
import { PagePeer, type Peer } from "../interop/peers.ts";
import { isCppMissing, startCpp, startPython } from "../interop/programs.ts";
import { isAiortcMissing } from "./python.ts";

const CALLER = "sender_001";
const CALLED = "receiver_001";

const lacks = { Python: isAiortcMissing(), Chromium: isChromiumMissing(), "C++": isCppMissing() };

const called = {
  Python: (server: string) => startPython("receiver_demo.py", server, "--client-id", CALLED),
  Chromium: (server: string) => PagePeer.open({ server, client_id: CALLED }, "call_peer.html"),
};
const callers = {
  Python: (server: string) => {
    const ids = ["--client-id", CALLER, "--target-id", CALLED];
    return startPython("sender_demo.py", server, ...ids, "--video");
  },
  Chromium: (server: string) =>
    PagePeer.open({ server, client_id: CALLER, target_id: CALLED }, "call_peer.html"),
  "C++": (server: string) => startCpp(server, CALLER, CALLED),
};

const pairs = [
  ["Python", "Chromium"],
  ["Chromium", "Python"],
  ["Python", "Python"],
  ["C++", "Python"],
  ["C++", "Chromium"],
] as const;

for (const [from, to] of pairs) {
  Deno.test({
    name: `a call from ${from} to ${to} goes on through a restart and a cut connection`,
    ignore: lacks[from] || lacks[to],
    fn: () => goesOn(callers[from], called[to]),
  });
}

for (const [python, chromium] of [["alice", "bob"], ["bob", "alice"]] as const) {
  Deno.test({
    name: `${python} in Python and ${chromium} in Chromium call each other at the same time`,
    ignore: lacks.Python || lacks.Chromium,
    async fn() {
      await using server = await ServingProgram.start(["--mailbox-ttl", "60s"]);
      // With video: Chromium cannot take back an offer if its data channel has another place in the one that wins.
      const options = ["--client-id", python, "--target-id", chromium, "--video"];
      await using first = await startPython("sender_demo.py", server.url, ...options);
      await server.logged(`${chromium}: offer`); // which is stored, and crosses the page's own
      await using second = await PagePeer.open(
        { server: server.url, client_id: chromium, target_id: python },
        "call_peer.html",
      );
      for (const peer of [first, second]) await peer.said("data channel open");
      await server.logged(`${python}: offer`);
    },
  });
}

type Start = (server: string) => Promise<Peer>;

async function goesOn(startCaller: Start, startCalled: Start): Promise<void> {
  // A dead connection is noticed within a few seconds, whichever side notices it.
  const options = ["--log-level", "debug", "--idle-timeout", "4s"];
  await using before = await ServingProgram.start(options);
  const port = new URL(before.httpUrl).port;
  await using proxy = new Proxy(Number(port));
  await using receiver = await startCalled(before.url);
  await receiver.said(`registered: ${CALLED}`);
  await using sender = await startCaller(`ws://127.0.0.1:${proxy.port}`);
  await receiver.said(`received: hello from ${CALLER}`);
  await sender.said(`received: hello from ${CALLED}`);
  await receiver.said("video frames: 30 (320x240)");

  await before[Symbol.asyncDispose]();
  for (const peer of [sender, receiver]) await peer.said("signaling lost");
  await using server = await ServingProgram.start([...options, "--port", port]);
  await sender.said(`registered: ${CALLER}`, 2);
  await receiver.said(`registered: ${CALLED}`, 2);
  await moreFramesArrive(receiver);

  proxy.cut();
  await server.logged(`ID held: ${CALLER}`);
  proxy.heal();
  await sender.said(`registered: ${CALLER}`, 3);
  await moreFramesArrive(receiver);

  await sender.leave();
  await receiver.said(`ended: ${CALLER}`);
}

/** The same picture goes on: a new call would begin to count anew. */
async function moreFramesArrive(receiver: Peer): Promise<void> {
  const counts = (await receiver.lines()).map((line) => /^video frames: (\d+)/.exec(line)?.[1]);
  const next = Math.max(...counts.map(Number).filter((count) => count > 0)) + 30;
  await receiver.said(`video frames: ${next} (320x240)`);
}
