/** Listening, and not giving up. */

import assert from "node:assert/strict";
import { systemClock } from "../../lib/clock.ts";
import { type Handler, Listener } from "../../lib/http/listener.ts";
import { ignoreEvents, RecordedEvents } from "../helpers/events.ts";

function listen(handler: Handler, emit = ignoreEvents): { listener: Listener; url: string } {
  const options = { hostname: "127.0.0.1", port: 0 };
  const listener = new Listener(options, systemClock, emit, handler);
  return { listener, url: `http://127.0.0.1:${listener.address.port}/` };
}

Deno.test("Listener answers requests until it is stopped", async () => {
  const { listener, url } = listen((_request, peer) => new Response(peer));
  assert.equal(await (await fetch(url)).text(), "127.0.0.1");
  await listener.stop();
  await assert.rejects(fetch(url), TypeError);
});

Deno.test("Listener answers 500 where a handler throws, reports it, and goes on", async () => {
  const events = new RecordedEvents();
  const { listener, url } = listen(() => {
    throw new Error("oops");
  }, events.emit);
  for (const attempt of [1, 2]) {
    const response = await fetch(url);
    await response.body?.cancel();
    assert.equal(response.status, 500);
    assert.equal(events.lines.length, attempt);
  }
  assert.equal(events.lines[0], "internal_error request Error: oops");
  await listener.stop();
});

Deno.test("Listener throws where the port is taken", async () => {
  const { listener } = listen(() => new Response());
  const { port } = listener.address;
  const options = { hostname: "127.0.0.1", port };
  const second = () => new Listener(options, systemClock, ignoreEvents, () => new Response());
  assert.throws(second, Deno.errors.AddrInUse);
  await listener.stop();
});
