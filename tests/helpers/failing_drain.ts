/** Runs the program with a server that cannot be drained. */

import { Server } from "../../lib/http/server.ts";

Server.prototype.drain = () => Promise.reject(new Error("the drain fails"));

await import("../../main.ts");
