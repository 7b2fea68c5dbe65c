/** PeerJS' own client, as published and unchanged, in Chromium and Firefox. */

import assert from "node:assert/strict";
import { createAuthenticator } from "../../lib/auth/tokens.ts";
import { servePage } from "../helpers/bundle.ts";
import { isChromiumMissing, TestBrowser } from "../helpers/chromium.ts";
import { isFirefoxMissing, TestFirefox } from "../helpers/firefox.ts";
import { startServer, type TestServer } from "../helpers/server.ts";
import { SECRET, sign } from "../helpers/tokens.ts";

const APP = new URL("apps/peerjs.js", import.meta.url);

/** A page with the app, in either browser. */
interface Page {
  evaluate(expression: string): Promise<unknown>;
}

interface Browser extends AsyncDisposable {
  open(url: string): Promise<Page>;
}

const BROWSERS = [
  ["Chromium", isChromiumMissing(), (): Promise<Browser> => TestBrowser.launch()],
  ["Firefox", isFirefoxMissing(), (): Promise<Browser> => TestFirefox.launch()],
] as const;

const PEERJS = { peerjsDiscovery: "true" } as const;

/** Runs a function of the app. */
function run(page: Page, name: string, ...args: readonly unknown[]): Promise<unknown> {
  return page.evaluate(`${name}(${args.map((arg) => JSON.stringify(arg)).join()})`);
}

function untilReported(page: Page, ...texts: readonly string[]): Promise<unknown> {
  return Promise.all(texts.map((text) => run(page, "untilReported", text)));
}

async function openPeer(page: Page, { url }: { url: string }, id: string, options = {}) {
  await run(page, "openPeer", url, id, options);
  await untilReported(page, `${id} open ${id}`);
}

interface Lab {
  readonly server: TestServer;
  readonly alice: Page;
  readonly bob: Page;
}

/** Tests what two pages do, in both browsers. */
function testPeers(
  name: string,
  fn: (lab: Lab) => Promise<void>,
  start: () => TestServer | Promise<TestServer> = () => startServer(PEERJS),
) {
  for (const [browserName, ignore, launch] of BROWSERS) {
    Deno.test({
      name: `PeerJS in ${browserName}: ${name}`,
      ignore,
      async fn() {
        await using page = await servePage(APP);
        await using server = await start();
        await using browser = await launch();
        const [alice, bob] = [await browser.open(page.url), await browser.open(page.url)];
        for (const opened of [alice, bob]) await opened.evaluate("isReady()");
        await fn({ server, alice, bob });
        for (const opened of [alice, bob]) await opened.evaluate("leave()");
      },
    });
  }
}

testPeers("data goes both ways, and a picture, and the list of peers is there", async (lab) => {
  const { server, alice, bob } = lab;
  await openPeer(alice, server, "alice");
  await openPeer(bob, server, "bob", { path: "/my/app" });
  assert.equal(await run(alice, "listPeers", "alice"), "alice,bob");
  await run(alice, "link", "alice", "bob");
  await Promise.all([
    untilReported(alice, "alice linked to bob"),
    untilReported(bob, "bob linked to alice"),
  ]);
  await run(alice, "say", "alice", { hello: "wörld" });
  await untilReported(bob, 'bob got {"hello":"wörld"}');
  await untilReported(alice, 'alice got {"welcome":"wörld"}');
  await run(bob, "call", "bob", "alice");
  await Promise.all([untilReported(alice, "alice sees bob"), untilReported(bob, "bob sees alice")]);
});

testPeers("an ID that is taken, a peer that is not there, a fresh ID", async (lab) => {
  const { server, alice, bob } = lab;
  await openPeer(alice, server, "alice");
  await run(bob, "openPeer", server.url, "alice");
  await untilReported(bob, "alice error unavailable-id");
  await run(bob, "openPeer", server.url, null);
  await untilReported(bob, "unnamed open 36");
  await run(alice, "link", "alice", "absent");
  await untilReported(alice, "alice error peer-unavailable");
  assert.equal(await run(alice, "isOpen", "alice"), "true");
});

testPeers("a callee that comes late is called; a peer reconnects as the same", async (lab) => {
  const { server, alice, bob } = lab;
  await openPeer(alice, server, "alice");
  await run(alice, "link", "alice", "bob");
  await openPeer(bob, server, "bob");
  await Promise.all([
    untilReported(alice, "alice linked to bob"),
    untilReported(bob, "bob linked to alice"),
  ]);
  await run(alice, "disconnect", "alice");
  await untilReported(alice, "alice disconnected");
  await run(alice, "reconnect", "alice");
  await untilReported(alice, "alice open alice");
  await run(bob, "link", "bob", "alice");
  await Promise.all([
    untilReported(alice, "alice linked to bob"),
    untilReported(bob, "bob linked to alice"),
  ]);
  await run(alice, "say", "alice", "still there");
  await untilReported(bob, 'bob got "still there"');
});

async function startWithTokens(): Promise<TestServer> {
  const authenticator = await createAuthenticator([SECRET], undefined);
  return startServer({ ...PEERJS, authSecrets: [SECRET] }, { authenticator });
}

testPeers("with tokens asked for, the client's token is a JWT", async ({ server, alice, bob }) => {
  await openPeer(alice, server, "alice", { token: await sign({ sub: "alice" }) });
  await openPeer(bob, server, "bob", { token: await sign({}) });
  await run(alice, "link", "alice", "bob");
  await Promise.all([
    untilReported(alice, "alice linked to bob"),
    untilReported(bob, "bob linked to alice"),
  ]);
  await run(bob, "openPeer", server.url, "carol", { token: await sign({ sub: "alice" }) });
  await untilReported(bob, "carol error server-error");
}, startWithTokens);
