/** Listening, and not giving up. */

import assert from "node:assert/strict";
import { systemClock } from "../../lib/clock.ts";
import { type Handler, Listener } from "../../lib/http/listener.ts";
import { Certificate, isMissingOpenssl } from "../helpers/certificate.ts";
import { FakeClock } from "../helpers/clock.ts";
import { ignoreEvents, RecordedEvents } from "../helpers/events.ts";

function listen(handler: Handler, emit = ignoreEvents): { listener: Listener; url: string } {
  const options = { hostname: "127.0.0.1", port: 0, tls: null };
  const listener = new Listener(options, systemClock, emit, handler);
  return { listener, url: `http://127.0.0.1:${listener.address.port}/` };
}

Deno.test("Listener answers requests until it is stopped", async () => {
  const { listener, url } = listen((_request, peer) => new Response(peer));
  assert.equal(await (await fetch(url)).text(), "127.0.0.1");
  await listener.stop();
  await assert.rejects(fetch(url), TypeError);
});

Deno.test("Listener answers 500 if a handler throws, reports it, and goes on", async () => {
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

/** Ends what the runtime listens with, behind the listener's back. */
function captureServers(): { readonly servers: Deno.HttpServer[] } & Disposable {
  const { serve } = Deno;
  const servers: Deno.HttpServer[] = [];
  const capture = (...args: Parameters<typeof serve>) => {
    const server = serve(...args);
    servers.push(server);
    return server;
  };
  Object.assign(Deno, { serve: capture });
  return { servers, [Symbol.dispose]: () => void Object.assign(Deno, { serve }) };
}

Deno.test("Listener does not take another's listener on its port for its own", async () => {
  using captured = captureServers();
  const events = new RecordedEvents();
  const clock = new FakeClock();
  const listener = new Listener(
    { hostname: "127.0.0.1", port: 0, tls: null },
    clock,
    events.emit,
    () => new Response("back"),
  );
  const { port } = listener.address;
  await captured.servers[0]!.shutdown();
  await captured.servers[0]!.finished;
  const other = Deno.listen({ hostname: "127.0.0.1", port });
  clock.advance(500);
  await events.happened("listener_failed");
  other.close();
  clock.advance(500);
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), "back");
  await listener.stop();
});

Deno.test("Listener.renew() listens on the same port with another certificate", async () => {
  if (isMissingOpenssl()) return;
  using first = await Certificate.make();
  using second = await Certificate.make();
  const options = { hostname: "127.0.0.1", port: 0, tls: { cert: first.pem, key: first.key } };
  const listener = new Listener(options, systemClock, ignoreEvents, () => new Response("here"));
  const url = `https://localhost:${listener.address.port}/`;
  const ask = async (certificate: Certificate) => {
    using client = Deno.createHttpClient({ caCerts: [certificate.pem] });
    return await (await fetch(url, { client })).text();
  };
  assert.equal(await ask(first), "here");
  await listener.renew({ cert: second.pem, key: second.key });
  assert.equal(await ask(second), "here");
  await assert.rejects(ask(first), TypeError);
  await listener.stop();
});

Deno.test("Listener throws if the port is taken", async () => {
  const { listener } = listen(() => new Response());
  const { port } = listener.address;
  const options = { hostname: "127.0.0.1", port, tls: null };
  const second = () => new Listener(options, systemClock, ignoreEvents, () => new Response());
  assert.throws(second, Deno.errors.AddrInUse);
  await listener.stop();
});
