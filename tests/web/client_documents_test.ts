/// <reference lib="dom" />

/** The JavaScript examples of clients.md in Chromium, run as printed. */

import assert from "node:assert/strict";
import type { Page, WebSocketRoute } from "playwright-core";
import { isChromiumMissing, TestBrowser } from "../helpers/chromium.ts";
import { blockUnder, readDocument } from "../helpers/documents.ts";
import { startServer, type TestServer } from "../helpers/server.ts";

const ignore = isChromiumMissing();
const FAKE_CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];

/** Opens an HTML text at an address of its own; signal.example.org is the test's server. */
async function openPrinted(
  browser: TestBrowser,
  server: TestServer,
  html: string,
  query: string,
): Promise<Page> {
  const page = await browser.open("about:blank");
  const contentType = "text/html";
  await page.route(
    "https://app.example.org/**",
    (route) => route.fulfill({ body: html, contentType }),
  );
  await page.route("https://signal.example.org/**", async (route) => {
    const { pathname } = new URL(route.request().url());
    await route.fulfill({ response: await route.fetch({ url: server.httpUrl + pathname }) });
  });
  await page.routeWebSocket("wss://signal.example.org/", (socket) => forward(socket, server.url));
  await page.goto(`https://app.example.org/${query}`);
  return page;
}

/** Connects a page's WebSocket to the test's server. */
function forward(page: WebSocketRoute, url: string): void {
  const server = new WebSocket(url);
  const opened = new Promise<void>((resolve) => server.onopen = () => resolve());
  page.onMessage((message) => void opened.then(() => server.send(String(message))));
  server.onmessage = ({ data }) => page.send(data);
  server.onclose = () => void page.close();
  page.onClose(() => server.close());
}

/** Resolves once a video shows a picture. */
async function shows(page: Page, id: string): Promise<void> {
  await page.locator(id).evaluate((video) =>
    new Promise<void>((resolve) =>
      (video as HTMLVideoElement).requestVideoFrameCallback(() => resolve())
    )
  );
}

function videoCall(): string {
  return blockUnder(readDocument("clients"), "A video call", "html");
}

/** Opens the video call on two pages, and lets alice call bob. */
async function call(browser: TestBrowser, server: TestServer) {
  const alice = await openPrinted(browser, server, videoCall(), "call.html?me=alice&peer=bob");
  const bob = await openPrinted(browser, server, videoCall(), "call.html?me=bob&peer=alice");
  for (const page of [alice, bob]) await page.getByText("registered").waitFor();
  await alice.getByRole("button", { name: "Call" }).click();
  for (const page of [alice, bob]) await shows(page, "#theirs");
  return { alice, bob };
}

Deno.test({
  name: "the video call of 25 lines shows both sides to each other, and hangs up",
  ignore,
  async fn() {
    assert.equal(videoCall().split("\n").length, 25);
    await using server = startServer({ resumeTtlMs: "0", mailboxTtlMs: "0" });
    await using browser = await TestBrowser.launch(FAKE_CAMERA);
    const { alice, bob } = await call(browser, server);
    await bob.getByRole("button", { name: "Hang up" }).click();
    await alice.waitForFunction(() =>
      document.querySelector<HTMLVideoElement>("#theirs")!.srcObject === null
    );
    assert.deepEqual(browser.complaints, []);
    for (const page of [alice, bob]) await page.close();
  },
});

Deno.test({
  name: "the video call of 25 lines calls anew after the other page was reloaded",
  ignore,
  async fn() {
    await using server = startServer({ resumeTtlMs: "0", mailboxTtlMs: "0" });
    await using browser = await TestBrowser.launch(FAKE_CAMERA);
    const { alice, bob } = await call(browser, server);
    await bob.reload();
    await bob.getByText("registered").waitFor();
    await alice.getByRole("button", { name: "Call" }).click();
    await shows(bob, "#theirs");
    assert.deepEqual(browser.complaints, []);
    for (const page of [alice, bob]) await page.close();
  },
});

Deno.test({
  name: "the first lines of JavaScript open a data channel",
  ignore,
  async fn() {
    const code = blockUnder(readDocument("clients"), "JavaScript", "js");
    await using server = startServer({ resumeTtlMs: "0", mailboxTtlMs: "0" });
    await using browser = await TestBrowser.launch();
    const html = (id: string) =>
      `<script type="module">${code.replace(`"alice"`, `"${id}"`)}
      globalThis.call = call;
      signaling.on("statechange", ({ state }) => document.title = state);</script>`;
    const [alice, bob] = await Promise.all(
      ["alice", "bob"].map((id) => openPrinted(browser, server, html(id), "")),
    ) as [Page, Page];
    for (const page of [alice, bob]) {
      await page.waitForFunction(() => document.title === "registered");
    }
    const seen = bob.waitForEvent("console", (message) => message.text() === "Hello!");
    await alice.evaluate(`call("bob")`);
    await seen;
    for (const page of [alice, bob]) await page.close();
  },
});
