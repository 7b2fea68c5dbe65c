/** Peers of which nothing is heard any more, though their connections never end. */

import assert from "node:assert/strict";
import { canHaveOwnNetwork, inOwnNetwork } from "../helpers/cable.ts";
import { ServingProgram } from "../helpers/program.ts";
import { isMissing } from "../helpers/tools.ts";
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
  const what = "unshare and ip with user namespaces (Debian: util-linux, iproute2)";
  if (isMissing(canHaveOwnNetwork(), what)) return;
  const script = new URL("half_open_in_namespace.ts", import.meta.url).pathname;
  const [program, ...args] = inOwnNetwork([Deno.execPath(), "run", "--allow-all", script]);
  const { success, stdout, stderr } = await new Deno.Command(program!, { args }).output();
  const decoder = new TextDecoder();
  assert(success, decoder.decode(stderr));
  console.info(decoder.decode(stdout).trim());
});
