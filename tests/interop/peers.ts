/** The peers of the interoperation tests, programs and pages alike: started, listened to, ended. */

import { type Browser, chromium, type Page } from "playwright-core";
import { CHROMIUM_ARGS, CHROMIUM_PATH } from "../helpers/chromium.ts";

/** The time that a peer may take to print a line: far more than any takes. */
const TIMEOUT_MS = 60_000;

/** A peer, and the lines in which it says what happens to it. */
export interface Peer extends AsyncDisposable {
  /** Resolves once it has said this line for the `times`th time; rejects if it ends before. */
  said(line: string, times?: number): Promise<void>;
  /** The lines that it has said, as far as they were awaited. */
  lines(): Promise<readonly string[]>;
  /** Leaves, so that the others get a notice. */
  leave(): Promise<void>;
}

/** A peer that is a program: it says its lines on stdout. */
export class ProgramPeer implements Peer {
  readonly #process: Deno.ChildProcess;
  readonly #stdout: ReadableStreamDefaultReader<string>;
  readonly #stderr: Promise<string>;
  readonly #onEnded: () => Promise<void>;
  #printed = "\n";

  /** @param options.onEnded tidies up behind it */
  constructor(
    [program, ...args]: readonly [string, ...string[]],
    { env = {}, onEnded = () => Promise.resolve() }: {
      readonly env?: Record<string, string>;
      readonly onEnded?: () => Promise<void>;
    } = {},
  ) {
    this.#onEnded = onEnded;
    const command = new Deno.Command(program, {
      args,
      env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
    this.#process = command.spawn();
    this.#stdout = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#stderr = new Response(this.#process.stderr).text();
  }

  async said(line: string, times = 1): Promise<void> {
    const giveUp = setTimeout(() => this.kill("SIGKILL"), TIMEOUT_MS);
    try {
      while (this.#printed.split("\n").filter((said) => said === line).length < times) {
        const { value, done } = await this.#stdout.read();
        if (done) throw new Error(`it ended and never said "${line}", but: ${await this.#all()}`);
        this.#printed += value;
      }
    } finally {
      clearTimeout(giveUp);
    }
  }

  lines(): Promise<readonly string[]> {
    return Promise.resolve(this.#printed.split("\n"));
  }

  leave(): Promise<void> {
    this.kill("SIGTERM");
    return Promise.resolve();
  }

  async #all(): Promise<string> {
    return `${this.#printed}\n${await this.#stderr}`;
  }

  kill(signal: Deno.Signal): void {
    try {
      this.#process.kill(signal);
    } catch {
      // it has ended
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGTERM");
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

  /** @param page beside this file */
  static async open(
    query: Record<string, string>,
    page = "browser_peer.html",
  ): Promise<PagePeer> {
    const browser = await chromium.launch({ executablePath: CHROMIUM_PATH, args: CHROMIUM_ARGS });
    // With leave for the camera, which nothing asks for, Chromium offers each of the machine's addresses.
    const context = await browser.newContext({ permissions: ["camera"] });
    const tab = await context.newPage();
    const url = new URL(page, import.meta.url);
    url.search = new URLSearchParams(query).toString();
    await tab.goto(url.href);
    return new PagePeer(browser, tab);
  }

  async said(line: string, times = 1): Promise<void> {
    const item = this.#page.locator("#log").getByText(line, { exact: true });
    try {
      await item.nth(times - 1).waitFor({ timeout: TIMEOUT_MS });
    } catch (cause) {
      const lines = await this.#page.locator("#log > li").allTextContents();
      throw new Error(`it never said "${line}", but:\n${lines.join("\n")}`, { cause });
    }
  }

  async lines(): Promise<readonly string[]> {
    return await this.#page.locator("#log > li").allTextContents();
  }

  async leave(): Promise<void> {
    const target = new URL(this.#page.url()).searchParams.get("target_id");
    await this.#page.evaluate(`signaling.hangUp("${target}"); signaling.close()`);
  }

  /** Loads the page again, as its user would. */
  async reload(): Promise<void> {
    await this.#page.reload();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
  }
}
