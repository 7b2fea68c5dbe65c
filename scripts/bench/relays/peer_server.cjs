// deno-lint-ignore-file no-console
/** PeerServer as npm has it, without a limit that would be in the way. */

const { PeerServer } = require("peer");

const options = { host: "127.0.0.1", port: 0, concurrent_limit: 1_000_000 };
PeerServer(options, (server) => console.log(`ws://127.0.0.1:${server.address().port}`));
