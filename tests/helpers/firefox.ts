/** Debian's Firefox for tests, driven over WebDriver BiDi, the only protocol that it speaks as it is shipped. */

import { isFile, isMissing } from "./tools.ts";

const PATH = "/usr/bin/firefox-esr";

const PREFERENCES = `
user_pref("media.peerconnection.ice.loopback", true);
user_pref("media.peerconnection.ice.obfuscate_host_addresses", false);
user_pref("browser.tabs.unloadOnLowMemory", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("toolkit.telemetry.enabled", false);
user_pref("app.normandy.enabled", false);
user_pref("app.update.enabled", false);
user_pref("extensions.update.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("browser.safebrowsing.malware.enabled", false);
user_pref("browser.safebrowsing.phishing.enabled", false);
`;

/** Returns whether tests with Firefox have to be left out. */
export function isFirefoxMissing(): boolean {
  return isMissing(isFile(PATH), "firefox-esr (Debian: firefox-esr)");
}

type Values = Record<string, unknown>;

export class TestFirefox implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #profile: string;
  readonly #socket: WebSocket;
  /** Resolves once all that Firefox has written is read. */
  readonly #drained: Promise<void>;
  readonly #pending = new Map<number, PromiseWithResolvers<Values>>();
  #lastId = 0;

  private constructor(
    process: Deno.ChildProcess,
    profile: string,
    socket: WebSocket,
    drained: Promise<void>,
  ) {
    this.#drained = drained;
    this.#process = process;
    this.#profile = profile;
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
  }

  static async launch(): Promise<TestFirefox> {
    const profile = await Deno.makeTempDir({ prefix: "signalbox-firefox-" });
    await Deno.writeTextFile(`${profile}/user.js`, PREFERENCES);
    const process = new Deno.Command(PATH, {
      args: ["--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", profile],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const [head, rest] = process.stderr.tee();
    const drained = rest.pipeTo(new WritableStream()).catch(() => {});
    const url = await listeningUrl(head);
    const socket = new WebSocket(`${url}/session`);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    });
    const firefox = new TestFirefox(process, profile, socket, drained);
    await firefox.#send("session.new", { capabilities: {} });
    return firefox;
  }

  /** Opens a page in a tab of its own. */
  async open(url: string): Promise<FirefoxPage> {
    const { context } = await this.#send("browsingContext.create", { type: "tab" });
    const page = new FirefoxPage(String(context), (method, params) => this.#send(method, params));
    await page.goto(url);
    return page;
  }

  #send(method: string, params: Values): Promise<Values> {
    const id = ++this.#lastId;
    const answer = Promise.withResolvers<Values>();
    this.#pending.set(id, answer);
    this.#socket.send(JSON.stringify({ id, method, params }));
    return answer.promise;
  }

  #receive({ id, result, error, message }: Values): void {
    const answer = this.#pending.get(id as number);
    this.#pending.delete(id as number);
    if (error) answer?.reject(new Error(`${error}: ${message}`));
    else answer?.resolve(result as Values);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#socket.onclose = resolve);
    this.#process.kill("SIGKILL");
    await Promise.all([this.#process.status, closed, this.#drained]);
    await Deno.remove(this.#profile, { recursive: true });
  }
}

export class FirefoxPage {
  readonly #context: string;
  readonly #send: (method: string, params: Values) => Promise<Values>;

  constructor(context: string, send: (method: string, params: Values) => Promise<Values>) {
    this.#context = context;
    this.#send = send;
  }

  async goto(url: string): Promise<void> {
    await this.#send("browsingContext.navigate", { context: this.#context, url, wait: "complete" });
  }

  async reload(): Promise<void> {
    await this.#send("browsingContext.reload", { context: this.#context, wait: "complete" });
  }

  /** Closes the tab as a person does, with `beforeunload`. */
  async close(): Promise<void> {
    await this.#send("browsingContext.close", { context: this.#context, promptUnload: true });
  }

  /** Evaluates an expression, and returns the string that it or its promise gives. */
  async evaluate(expression: string): Promise<string> {
    const target = { context: this.#context };
    const { result, exceptionDetails } = await this.#send("script.evaluate", {
      expression,
      target,
      awaitPromise: true,
    });
    if (exceptionDetails) throw new Error((exceptionDetails as { text: string }).text);
    return String((result as { value?: unknown }).value);
  }
}

/** Reads until Firefox says at which address it listens. */
async function listeningUrl(head: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  let printed = "";
  for await (const text of head.pipeThrough(new TextDecoderStream())) {
    printed += text;
    const url = /WebDriver BiDi listening on (\S+)/.exec(printed)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error(`Firefox does not listen: ${printed}`);
}
