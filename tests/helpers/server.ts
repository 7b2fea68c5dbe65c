/** A server in the test's own process, on a free port of loopback. */

import { systemClock } from "../../lib/clock.ts";
import { type GivenOptions, readOptions, type System } from "../../lib/config/options.ts";
import { Server, type ServerDeps } from "../../lib/http/server.ts";
import { ignoreEvents, RecordedEvents } from "./events.ts";

const SYSTEM: System = {
  memoryBytes: 2 ** 30,
  readTextFile: () => {
    throw new Error("a test reads no file");
  },
};

export interface TestServer extends AsyncDisposable {
  readonly server: Server;
  /** `ws://127.0.0.1:…` */
  readonly url: string;
  /** `http://127.0.0.1:…` */
  readonly httpUrl: string;
  /** Its events, unless the test takes them itself. */
  readonly events: RecordedEvents;
}

/** Starts a server. Options are written as on the command line; it is drained when the test leaves the block. */
export function startServer(given: GivenOptions = {}, deps: Partial<ServerDeps> = {}): TestServer {
  const options = readOptions({ host: "127.0.0.1", port: "0", ...given }, {}, SYSTEM);
  const events = new RecordedEvents();
  const server = new Server(options, {
    version: "test",
    clock: systemClock,
    emit(event) {
      ignoreEvents(event);
      events.emit(event);
    },
    authenticator: null,
    tls: null,
    isMemoryTight: () => false,
    ...deps,
  });
  const { hostname, port } = server.address;
  const scheme = server.isSecure ? "s" : "";
  return {
    server,
    url: `ws${scheme}://${hostname}:${port}`,
    httpUrl: `http${scheme}://${hostname}:${port}`,
    events,
    [Symbol.asyncDispose]: () => server.drain(),
  };
}
