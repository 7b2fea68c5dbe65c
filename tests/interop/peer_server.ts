/** PeerServer as npm has it: the reference for PeerJS' protocol. Prints its address. */

import type { AddressInfo } from "node:net";
import { PeerServer } from "peer";

const options = { host: "127.0.0.1", port: 0, allow_discovery: true };
PeerServer(options, (server) => {
  console.log(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
