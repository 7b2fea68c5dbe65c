/** A server with its admin listener, in the test's own process. */

import { Admin } from "../../lib/admin/admin.ts";
import { systemClock } from "../../lib/clock.ts";
import type { Emit } from "../../lib/events.ts";
import { Metrics } from "../../lib/admin/metrics.ts";
import type { GivenOptions } from "../../lib/config/options.ts";
import { ignoreEvents, RecordedEvents } from "./events.ts";
import { startServer } from "./server.ts";

export interface ServerWithAdmin extends AsyncDisposable {
  /** `ws://127.0.0.1:…` */
  readonly url: string;
  /** `http://127.0.0.1:…`, without a path. */
  readonly adminUrl: string;
  readonly events: RecordedEvents;
}

/** Starts both. Options are written as on the command line; both are stopped when the test leaves the block. */
export function startServerWithAdmin(
  given: GivenOptions & { readonly adminPassword?: string } = {},
): ServerWithAdmin {
  const metrics = new Metrics(systemClock);
  const events = new RecordedEvents();
  const emit: Emit = (event) => {
    metrics.observe(event);
    events.emit(event);
  };
  const { server, url, ...test } = startServer(given, { emit });
  const address = { hostname: "127.0.0.1", port: 0 };
  const deps = { version: "test", clock: systemClock, emit: ignoreEvents, metrics, server };
  const admin = new Admin(address, { ...deps, password: given.adminPassword as string });
  return {
    url,
    adminUrl: new URL(admin.url).origin,
    events,
    async [Symbol.asyncDispose]() {
      await admin.stop();
      await test[Symbol.asyncDispose]();
    },
  };
}
