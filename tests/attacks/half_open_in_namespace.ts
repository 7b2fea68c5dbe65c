/** Peers behind a cable that is pulled. To be run in a network of its own, by half_open_test.ts. */

import { Cable, inOwnNetwork, NEAR, startLoopback } from "../helpers/cable.ts";
import { ServingProgram } from "../helpers/program.ts";
import { describeDrops, Peers, SERVER_ARGUMENTS, untilDropped } from "./half_open.ts";

await startLoopback();
await using program = await ServingProgram.start([...SERVER_ARGUMENTS, "--host", "0.0.0.0"]);
const { port } = new URL(program.url);
await using peers = new Peers(`ws://${NEAR}:${port}`, inOwnNetwork);
const cable = await Cable.plugIn(peers.pid);
await peers.register();
await cable.cut();
console.log(describeDrops(await untilDropped(program)));
