/// <reference lib="dom" />

/** The app of deploying.md as a whole: Caddy with a login, the backend that makes tokens, the page, the program. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { isChromiumMissing, TestBrowser } from "../helpers/chromium.ts";
import { Foreground } from "../helpers/foreground.ts";
import { findFreePort } from "../helpers/free_port.ts";
import { ServingProgram } from "../helpers/program.ts";
import { RawPeer } from "../helpers/raw_peer.ts";
import { SECRET } from "../helpers/tokens.ts";
import { DEBIAN_PYTHON, hasCommand, isMissing, succeeds } from "../helpers/tools.ts";
import { printedFile, replaceAll } from "./document.ts";
import { caddyCaPath, caddyfile, untilSecure } from "./proxies.ts";

const PASSWORD = "correct horse battery staple";
const CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];

function isAppMissing(): boolean {
  const hasJwt = succeeds(DEBIAN_PYTHON, "-c", "import jwt");
  return isMissing(hasCommand("caddy"), "caddy (Debian: caddy)") ||
    isMissing(hasJwt, "jwt for Python (Debian: python3-jwt)");
}

/** All of the app, on free ports of loopback. */
class App implements AsyncDisposable {
  readonly #resources: AsyncDisposableStack;
  readonly url: string;
  readonly caCert: string;

  private constructor(resources: AsyncDisposableStack, url: string, caCert: string) {
    this.#resources = resources;
    this.url = url;
    this.caCert = caCert;
  }

  static async start(): Promise<App> {
    await using resources = new AsyncDisposableStack();
    const folder = await Deno.makeTempDir({ prefix: "signalbox-app-" });
    resources.defer(() => Deno.remove(folder, { recursive: true }));
    const port = findFreePort();
    const url = `https://localhost:${port}/`;
    const options = ["--trust-proxy", "127.0.0.1", "--allow-origin", new URL(url).origin];
    const program = await ServingProgram.start([...options, "--auth-secret", SECRET]);
    resources.use(program);
    const backendPort = findFreePort();
    resources.use(await startBackend(folder, backendPort));
    await Deno.writeTextFile(`${folder}/index.html`, printedFile("/srv/call/index.html"));
    const sites = await replaceSites(folder, new URL(program.url).host, backendPort);
    resources.use(await startCaddy(folder, caddyfile(sites, port), port));
    const caCert = await Deno.readTextFile(caddyCaPath(folder));
    return new App(resources.move(), url, caCert);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

async function startBackend(folder: string, port: number): Promise<Foreground> {
  const script = replaceAll(printedFile("/srv/tokens.py"), { "3000": `${port}` });
  await Deno.writeTextFile(`${folder}/tokens.py`, script);
  await Deno.writeTextFile(`${folder}/auth-secret`, `${SECRET}\nan older secret\n`);
  const env = { CREDENTIALS_DIRECTORY: folder };
  const backend = new Foreground([DEBIAN_PYTHON, `${folder}/tokens.py`], { env });
  await backend.listensOn(port);
  return backend;
}

/** The printed Caddyfile, with a hash that is one of the password. */
async function replaceSites(folder: string, server: string, backendPort: number): Promise<string> {
  const args = ["hash-password", "--plaintext", PASSWORD];
  const { stdout } = await new Deno.Command("caddy", { args }).output();
  const hash = new TextDecoder().decode(stdout).trim();
  const sites = replaceAll(printedFile("/etc/caddy/Caddyfile, in place of the first block"), {
    "call.example.org": "localhost",
    "127.0.0.1:8765": server,
    "127.0.0.1:3000": `127.0.0.1:${backendPort}`,
    "/srv/call": folder,
  });
  return sites.replaceAll(/\$2a\$\S+/g, hash);
}

async function startCaddy(folder: string, config: string, port: number): Promise<Foreground> {
  await Deno.writeTextFile(`${folder}/Caddyfile`, config);
  const env = { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  const command = ["caddy", "run", "--config", `${folder}/Caddyfile`, "--adapter", "caddyfile"];
  const caddy = new Foreground(command, { env });
  await caddy.listensOn(port);
  await untilSecure(port, caddyCaPath(folder));
  return caddy;
}

Deno.test("the backend makes tokens for users who have logged in, and for no others", async () => {
  if (isAppMissing()) return;
  await using app = await App.start();
  using client = Deno.createHttpClient({ caCerts: [app.caCert] });
  const ask = (headers: Record<string, string>) => fetch(`${app.url}token`, { client, headers });
  const stranger = await ask({ "x-user": "alice" });
  await stranger.body?.cancel();
  assert.equal(stranger.status, 401);
  const authorization = `Basic ${btoa(`alice:${PASSWORD}`)}`;
  const answer = await ask({ authorization, "x-user": "bob" });
  const { user, token } = await answer.json();
  assert.deepEqual([answer.status, user], [200, "alice"]);
  assert.equal(await register(app, { client_id: "alice", room: "lobby", token }), "registered");
  assert.equal(await register(app, { client_id: "bob", room: "lobby", token }), "forbidden");
  assert.equal(await register(app, { client_id: "alice", token }), "forbidden");
  assert.equal(await register(app, { client_id: "alice", room: "lobby" }), "unauthorized");
});

/** Registers through Caddy, and returns the type of the answer, or the code of the error. */
async function register(app: App, message: object): Promise<string> {
  const url = `${app.url.replace("https", "wss")}signal/`;
  using peer = await RawPeer.open(url, {}, { caCert: app.caCert });
  await peer.sendText(JSON.stringify({ type: "register", ...message }));
  const frame = await peer.readFrame();
  const { type, code } = JSON.parse(new TextDecoder().decode(frame?.payload));
  return code ?? type;
}

Deno.test("two users of the printed page see each other", async () => {
  if (isAppMissing() || isChromiumMissing()) return;
  await using app = await App.start();
  await using browser = await TestBrowser.launch(CAMERA);
  const open = async (username: string) => {
    const httpCredentials = { username, password: PASSWORD };
    const page = await browser.open(app.url, { ignoreHTTPSErrors: true, httpCredentials });
    page.on("dialog", (dialog) => void dialog.accept());
    await page.waitForFunction((name) => document.title === name, username);
    await seesPicture(page, "#own");
    return page;
  };
  const [alice, bob] = [await open("alice"), await open("bob")];
  await alice.fill("input[name=peer]", "bob");
  await alice.click("button");
  await Promise.all([seesPicture(alice, "#other"), seesPicture(bob, "#other")]);
  assert.deepEqual(browser.complaints, []);
});

async function seesPicture(page: Page, selector: string): Promise<void> {
  await page.waitForFunction(
    (name) => document.querySelector<HTMLVideoElement>(name)!.videoWidth > 0,
    selector,
  );
}
