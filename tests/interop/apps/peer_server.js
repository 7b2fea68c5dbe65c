/** PeerServer as npm has it. Prints its address. */

import { PeerServer } from "npm:peer@1.0.2";

const options = { host: "127.0.0.1", port: 0, allow_discovery: true };
PeerServer(options, (server) => console.log(`ws://127.0.0.1:${server.address().port}`));
