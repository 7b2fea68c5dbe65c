/** Peers that are silent for good, though their connections never end. */

import { isOwnNetworkMissing, runInOwnNetwork } from "../helpers/cable.ts";
import { ServingProgram } from "../helpers/program.ts";
import { describeDrops, Peers, SERVER_ARGUMENTS, untilDropped } from "./half_open.ts";

Deno.test("peers that are stopped are dropped, written to or not", async () => {
  if (Deno.build.os === "windows") return console.info("skipped: needs SIGSTOP");
  await using program = await ServingProgram.start(SERVER_ARGUMENTS);
  await using peers = new Peers(program.url, (command) => command);
  await peers.register();
  peers.stop();
  console.info(describeDrops(await untilDropped(program)));
});

Deno.test("peers that are cut off are dropped, written to or not", async () => {
  if (isOwnNetworkMissing()) return;
  console.info(await runInOwnNetwork(new URL("half_open_in_namespace.ts", import.meta.url)));
});
