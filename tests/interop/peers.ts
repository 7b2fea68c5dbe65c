/** The peers of the interoperation tests, programs and pages alike: started, listened to, ended. */

import { type Browser, chromium, type Page } from "playwright-core";
import { CHROMIUM_ARGS, CHROMIUM_PATH } from "../helpers/chromium.ts";

/** How long a peer may take to say something. A backstop: where all is well, nothing comes near it. */
const PATIENCE_MS = 30_000;

/** A peer, and the lines in which it says what happens to it. */
export interface Peer extends AsyncDisposable {
  /** Resolves once it has said this line; rejects when it ends without it. */
  said(line: string): Promise<void>;
}

/** A peer that is a program: it says its lines on stdout. */
export class ProgramPeer implements Peer {
  readonly #process: Deno.ChildProcess;
  readonly #stdout: ReadableStreamDefaultReader<string>;
  readonly #stderr: Promise<string>;
  readonly #onEnded: () => Promise<void>;
  #printed = "\n";

  /** @param onEnded tidies up behind it */
  constructor(
    [program, ...args]: readonly [string, ...string[]],
    onEnded: () => Promise<void> = () => Promise.resolve(),
  ) {
    this.#onEnded = onEnded;
    const command = new Deno.Command(program, {
      args,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
    this.#process = command.spawn();
    this.#stdout = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#stderr = new Response(this.#process.stderr).text();
  }

  async said(line: string): Promise<void> {
    const giveUp = setTimeout(() => this.#end("SIGKILL"), PATIENCE_MS);
    try {
      while (!this.#printed.includes(`\n${line}\n`)) {
        const { value, done } = await this.#stdout.read();
        if (done) throw new Error(`it ended and never said "${line}", but: ${await this.#all()}`);
        this.#printed += value;
      }
    } finally {
      clearTimeout(giveUp);
    }
  }

  async #all(): Promise<string> {
    return `${this.#printed}\n${await this.#stderr}`;
  }

  #end(signal: Deno.Signal): void {
    try {
      this.#process.kill(signal);
    } catch {
      // it has ended
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end("SIGTERM");
    await Promise.all([this.#stdout.cancel(), this.#stderr, this.#process.status]);
    await this.#onEnded();
  }
}

/** A peer that is a page in a Chromium of its own: it says its lines in a list. */
export class PagePeer implements Peer {
  readonly #browser: Browser;
  readonly #page: Page;

  private constructor(browser: Browser, page: Page) {
    this.#browser = browser;
    this.#page = page;
  }

  static async open(query: Record<string, string>): Promise<PagePeer> {
    const browser = await chromium.launch({ executablePath: CHROMIUM_PATH, args: CHROMIUM_ARGS });
    // With leave for the camera, which nothing asks for, Chromium offers each of the machine's addresses.
    const context = await browser.newContext({ permissions: ["camera"] });
    const page = await context.newPage();
    const url = new URL("./browser_peer.html", import.meta.url);
    url.search = new URLSearchParams(query).toString();
    await page.goto(url.href);
    return new PagePeer(browser, page);
  }

  async said(line: string): Promise<void> {
    const item = this.#page.locator("#log").getByText(line, { exact: true });
    try {
      await item.first().waitFor({ timeout: PATIENCE_MS });
    } catch (cause) {
      const lines = await this.#page.locator("#log > li").allTextContents();
      throw new Error(`it never said "${line}", but:\n${lines.join("\n")}`, { cause });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
  }
}
