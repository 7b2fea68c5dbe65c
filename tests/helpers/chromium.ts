/** Debian's Chromium for tests: pages that do not know each other, and what they complain of. */

import assert from "node:assert/strict";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { isFile, isMissing } from "./tools.ts";

export const CHROMIUM_PATH = "/usr/bin/chromium";

export const CHROMIUM_ARGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // Candidates with addresses as they are, that of loopback too.
  "--disable-features=WebRtcHideLocalIpsWithMdns",
  "--allow-loopback-in-peer-connection",
];

/** True if tests with Chromium have to be skipped. */
export function isChromiumMissing(): boolean {
  return isMissing(isFile(CHROMIUM_PATH), "chromium (Debian: chromium)");
}

export class TestBrowser implements AsyncDisposable {
  readonly #browser: Browser;
  /** Exceptions in pages, and what their Content-Security-Policy stopped. */
  readonly complaints: string[] = [];

  private constructor(browser: Browser) {
    this.#browser = browser;
  }

  /** @param more further arguments of the command line */
  static async launch(more: readonly string[] = []): Promise<TestBrowser> {
    const args = [...CHROMIUM_ARGS, ...more];
    return new TestBrowser(await chromium.launch({ executablePath: CHROMIUM_PATH, args }));
  }

  /** Opens a page as in a browser of its own: with no storage of another's. */
  async open(url: string, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.#browser.newContext(options);
    const page = await context.newPage();
    page.on("pageerror", (error) => void this.complaints.push(error.stack ?? error.message));
    page.on("console", (message) => {
      const text = message.text();
      if (/Content.Security.Policy|TrustedHTML/i.test(text)) this.complaints.push(text);
    });
    await page.goto(url);
    return page;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
  }
}

/** Runs a test with a browser, in whose pages nothing may go wrong. */
export function testInBrowser(name: string, fn: (browser: TestBrowser) => Promise<void>): void {
  Deno.test({
    name,
    ignore: isChromiumMissing(),
    async fn() {
      await using browser = await TestBrowser.launch();
      await fn(browser).catch((cause) => {
        throw new Error(`The test failed. The pages: ${browser.complaints.join("\n")}`, { cause });
      });
      assert.deepEqual(browser.complaints, []);
    },
  });
}
