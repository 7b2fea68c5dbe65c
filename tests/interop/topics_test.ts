/// <reference lib="dom" />

/** y-webrtc's provider and Trystero's core, as published and unchanged, in Chromium. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { servePage } from "../helpers/bundle.ts";
import { isChromiumMissing, TestBrowser } from "../helpers/chromium.ts";
import { findFreePort } from "../helpers/free_port.ts";
import { startServer } from "../helpers/server.ts";

const Y_WEBRTC = new URL("apps/y_webrtc.js", import.meta.url);
const TRYSTERO = new URL("apps/trystero.js", import.meta.url);
const ignore = isChromiumMissing();

/** The globals of the page of y_webrtc.js. */
declare const openDocument: (url: string, room: string, password?: string) => void;
declare const provider: { readonly signalingConns: readonly { readonly connected: boolean }[] };
declare const text: { insert(index: number, content: string): void };
declare const reads: (wanted: string) => Promise<void>;
declare const exchange: (url: string, own: string) => Promise<string>;

/** Opens a document in as many browsers; each is a context of its own, so nothing goes over a BroadcastChannel. */
async function openDocuments(
  browser: TestBrowser,
  page: string,
  url: string,
  { count = 2, password = undefined as string | undefined } = {},
): Promise<Page[]> {
  const pages: Page[] = [];
  while (pages.length < count) {
    const opened = await browser.open(page);
    await opened.waitForFunction(() => "openDocument" in globalThis);
    await opened.evaluate(([url, password]) => openDocument(url!, "room", password), [
      url,
      password,
    ]);
    // One after the other: two that announce themselves at once may wait for each other for ever.
    await opened.waitForFunction(() => provider.signalingConns.every(({ connected }) => connected));
    pages.push(opened);
  }
  return pages;
}

/** Each writes in turn, and all read it. */
async function converge(pages: readonly Page[], before = ""): Promise<string> {
  let wanted = before;
  for (const [index, page] of pages.entries()) {
    wanted = `${index}${wanted}`;
    await page.evaluate((content) => text.insert(0, content), `${index}`);
    await Promise.all(pages.map((page) => page.evaluate((wanted) => reads(wanted), wanted)));
  }
  return wanted;
}

/** The server whose protocol it is, from the package that the client comes from. */
async function startReference() {
  const port = findFreePort();
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", "npm:y-webrtc@10.3.0/y-webrtc-signaling"],
    env: { PORT: String(port) },
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = process.stdout.getReader();
  await reader.read(); // it says that it listens
  reader.releaseLock();
  return {
    url: `ws://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      process.kill("SIGKILL");
      await process.stdout.cancel();
      await process.status;
    },
  };
}

for (
  const [name, start] of [
    ["signalbox", () => Promise.resolve(startServer())],
    ["the reference server", startReference],
  ] as const
) {
  Deno.test({
    name: `y-webrtc: two documents converge, and a third one, over ${name}`,
    ignore,
    async fn() {
      await using server = await start();
      await using page = await servePage(Y_WEBRTC);
      await using browser = await TestBrowser.launch();
      const pages = await openDocuments(browser, page.url, server.url);
      const written = await converge(pages);
      const [third] = await openDocuments(browser, page.url, server.url, { count: 1 });
      await third!.evaluate((wanted) => reads(wanted), written);
      await converge([...pages, third!], written);
      assert.deepEqual(browser.complaints, []);
    },
  });

  Deno.test({
    name: `y-webrtc: documents with a password converge over ${name}`,
    ignore,
    async fn() {
      await using server = await start();
      await using page = await servePage(Y_WEBRTC);
      await using browser = await TestBrowser.launch();
      await converge(
        await openDocuments(browser, page.url, server.url, { password: "secret" }),
      );
    },
  });
}

Deno.test({
  name: "y-webrtc: a document that comes after the server's restart finds those that were there",
  ignore,
  async fn() {
    await using page = await servePage(Y_WEBRTC);
    await using browser = await TestBrowser.launch();
    let port = 0;
    let pages: Page[] = [];
    let written = "";
    {
      await using server = startServer();
      port = server.server.address.port;
      pages = await openDocuments(browser, page.url, server.url);
      written = await converge(pages);
    }
    await using again = startServer({ port: String(port) });
    const [third] = await openDocuments(browser, page.url, again.url, { count: 1 });
    await third!.evaluate((wanted) => reads(wanted), written);
    await converge([...pages, third!], written);
  },
});

Deno.test({
  name: "Trystero: two peers of a room find each other, and send data both ways",
  ignore,
  async fn() {
    await using server = startServer();
    await using page = await servePage(TRYSTERO);
    await using browser = await TestBrowser.launch();
    const words = await Promise.all(["hello", "hi"].map(async (own) => {
      const opened = await browser.open(page.url);
      await opened.waitForFunction(() => "exchange" in globalThis);
      return await opened.evaluate(([url, own]) => exchange(url!, own!), [server.url, own]);
    }));
    assert.deepEqual(words, ["hi", "hello"]);
    assert.deepEqual(browser.complaints, []);
  },
});
