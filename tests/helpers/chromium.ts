/** Debian's Chromium for tests: pages that do not know each other, and what they complain of. */

import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { isFile, isMissing } from "./tools.ts";

const PATH = "/usr/bin/chromium";

const ARGS = [
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

/** Whether tests with Chromium have to be left out. */
export function isChromiumMissing(): boolean {
  return isMissing(isFile(PATH), "chromium (Debian: chromium)");
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
    const args = [...ARGS, ...more];
    return new TestBrowser(await chromium.launch({ executablePath: PATH, args }));
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
