/**
 * Clients in a process of their own, which can be stopped or cut off: half_open_peers.ts URL ID…
 *
 * It begins when it reads a line, and writes one when all have registered.
 */

import { TestClient } from "../helpers/client.ts";

const [url, ...ids] = Deno.args;
await Deno.stdin.read(new Uint8Array(1));
for (const id of ids) await TestClient.register(url!, id);
console.log("registered");
