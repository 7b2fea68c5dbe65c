/** The program as a process: what it prints, with which status it ends, and that nothing but an order ends it. */

import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { Certificate, isMissingOpenssl } from "../helpers/certificate.ts";
import { TestClient } from "../helpers/client.ts";
import { exchange, shutDown } from "../helpers/core_exchange.ts";
import { fromSource, ownEnvironment, runProgram, ServingProgram } from "../helpers/program.ts";
import { isRedisMissing, TestRedis } from "../helpers/redis.ts";
import { testOnRuntimes } from "../helpers/runtimes.ts";
import { isMissing } from "../helpers/tools.ts";

// The start.

Deno.test("the start prints where it listens, in one line on stdout", async () => {
  await using program = await ServingProgram.start(["--no-page"]);
  assert.equal(
    program.startLine,
    `signalbox ${config.version} listens on ws://127.0.0.1:${new URL(program.url).port}\n`,
  );
});

Deno.test("the start prints the machine's address, too, if it listens on all", async () => {
  const address = Deno.networkInterfaces().find(({ address, family }) =>
    family === "IPv4" && !/^(127|169\.254)\./.test(address)
  )?.address;
  if (isMissing(address !== undefined, "an address in a network")) return;
  await using program = await ServingProgram.start(["--host", "0.0.0.0", "--admin", "127.0.0.1:0"]);
  const { port } = new URL(program.url);
  assert.deepEqual(program.startLine.split("\n").slice(0, 2), [
    `signalbox ${config.version} listens on ws://0.0.0.0:${port} (see it work: http://localhost:${port}/)`,
    `other machines: ws://${address}:${port}`,
  ]);
  assert.match(program.adminUrl!, /^http:\/\/127\.0\.0\.1:\d+\/$/);
  await TestClient.register(`ws://${address}:${port}`, "alice");
});

Deno.test("with --log-format json the lines of the start are JSON, too", async () => {
  const args = ["--log-format", "json", "--log-level", "error", "--admin", "127.0.0.1:0"];
  await using program = await ServingProgram.start(args);
  const [start, admin] = program.startLine.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.equal(start.msg.split(" ")[0], "signalbox");
  assert.deepEqual([start.level, start.url, start.page], [
    "info",
    program.url,
    `${program.httpUrl}/`,
  ]);
  assert.equal(admin.page, program.adminUrl);
});

Deno.test("the start prints an IPv6 address as URLs have it, and listens there", async () => {
  await using program = await ServingProgram.start(["--host", "::1"]);
  assert.match(program.url, /^ws:\/\/\[::1\]:\d+$/);
  await TestClient.register(program.url, "alice");
});

Deno.test("--version and --help print on stdout, and end with 0", async () => {
  const version = await runProgram(["--version"]);
  const text = `signalbox ${config.version} (Deno ${Deno.version.deno}, ${Deno.build.target})\n`;
  assert.deepEqual(version, { status: 0, stdout: text, stderr: "" });
  const help = await runProgram(["--help"]);
  assert.deepEqual([help.status, help.stderr], [0, ""]);
  assert.match(help.stdout, /^Usage: signalbox /);
});

Deno.test("healthcheck asks a server, and ends with 0 or 1", async () => {
  const program = await ServingProgram.start();
  const healthy = await runProgram(["healthcheck", program.url]);
  assert.deepEqual([healthy.status, healthy.stderr], [0, ""]);
  assert.equal(JSON.parse(healthy.stdout).status, "ok");
  const { port } = new URL(program.url);
  const env = { ...Deno.env.toObject(), SIGNALBOX_PORT: port };
  assert.equal((await runProgram(["healthcheck"], { env })).status, 0);
  await program[Symbol.asyncDispose]();
  const gone = await runProgram(["healthcheck", program.url]);
  assert.deepEqual([gone.status, gone.stdout], [1, ""]);
  assert.match(gone.stderr, /^signalbox: http:.*\/healthz is not healthy: .*\n$/);
});

testOnRuntimes("healthcheck asks a server with TLS in any environment", async (command) => {
  if (isMissingOpenssl()) return;
  using certificate = await Certificate.make();
  const { certPath, keyPath } = certificate;
  await using program = await ServingProgram.start(["--tls-cert", certPath, "--tls-key", keyPath]);
  const env = { ...ownEnvironment(), NODE_EXTRA_CA_CERTS: certPath };
  const { status, stderr } = await runProgram(["healthcheck", program.url], { command, env });
  assert.deepEqual([status, stderr], [0, ""]);
});

testOnRuntimes("check tries this machine, and ends with 0 or 1", async (command) => {
  if (isMissingOpenssl()) return;
  using certificate = await Certificate.make();
  const { certPath, keyPath } = certificate;
  const tls = ["--tls-cert", certPath, "--tls-key", keyPath];
  const turn = ["--ice-server", "turn:127.0.0.1", "--turn-secret", "secret"];
  const program = await ServingProgram.start([...tls, ...turn], { command });
  const { port } = new URL(program.url);
  const env = { ...ownEnvironment(), SIGNALBOX_PORT: port, SIGNALBOX_TLS_CERT: certPath };
  const good = await runProgram(["check", "--ca", certPath], { command, env });
  assert.deepEqual([good.status, good.stderr], [0, ""], good.stdout);
  assert.match(good.stdout, /^✓ name: .*\n✓ TCP: [^]*\n✓ large message: 64 KiB in \d+ ms\n$/);
  await program[Symbol.asyncDispose]();
  assert.doesNotMatch(program.log, /Deprecation/); // of node:crypto's own, on Deno 2.4
  const gone = await runProgram(["check"], { command, env });
  assert.deepEqual([gone.status, gone.stderr], [1, ""]);
  assert.match(gone.stdout, /\n✗ TCP: .*\n$/);
});

Deno.test("healthcheck takes a server that drains, and another that answers, for unhealthy", async () => {
  await using program = await ServingProgram.start(["--drain-delay", "1h"]);
  program.signal("SIGTERM");
  await program.logged("Shutting down");
  const draining = await runProgram(["healthcheck", program.url]);
  assert.equal(draining.status, 1);
  assert.match(draining.stderr, /status 503: \{"status":"draining"/);
  program.signal("SIGTERM");
});

Deno.test("what Kubernetes sets for a Service called signalbox is not read; other variables are warned of", async () => {
  const env = {
    ...ownEnvironment(),
    SIGNALBOX_PORT: "tcp://10.96.13.7:8765",
    SIGNALBOX_SERVICE_HOST: "10.96.13.7",
    SIGNALBOX_AUTH_SECRETS_FILE: "/run/secrets/auth",
  };
  await using program = await ServingProgram.start([], { env });
  program.signal("SIGTERM");
  const { stderr } = await program.ended();
  assert.deepEqual(stderr.split("\n"), [
    "WARN - SIGNALBOX_AUTH_SECRETS_FILE is no option and is ignored. " +
    "The nearest one is SIGNALBOX_AUTH_SECRET_FILE.",
    "INFO - Shutting down (SIGTERM)",
    "",
  ]);
});

Deno.test("a secret is read from the file that its variable names", async () => {
  const path = await Deno.makeTempFile();
  await Deno.writeTextFile(path, `${"s".repeat(32)}\n`);
  const env = { ...ownEnvironment(), SIGNALBOX_AUTH_SECRET_FILE: path };
  await using program = await ServingProgram.start([], { env });
  const { stdout } = await runProgram(["token", "--client-id", "alice"], { env });
  await TestClient.register(program.url, "alice", { token: stdout.trim() });
  await Deno.remove(path);
});

// Errors of the user.

/** Runs the program until it ends with a status, without stdout and with one line on stderr, which it returns. */
async function complaint(
  args: readonly string[],
  status: number,
  env: Record<string, string> = {},
) {
  const ending = await runProgram(args, { env: { ...ownEnvironment(), ...env } });
  assert.deepEqual([ending.status, ending.stdout], [status, ""], ending.stderr);
  assert.match(ending.stderr, /^signalbox: .+\.\n$/);
  return ending.stderr;
}

Deno.test("a wrong option ends the start with status 2 and one line", async () => {
  assert.match(await complaint(["--port", "http"], 2), /--port takes .*, not "http"/);
  assert.match(await complaint(["--prot", "1"], 2), /unknown option '--prot'/);
  assert.match(await complaint(["--tls-cert", "cert.pem"], 2), /--tls-cert and --tls-key/);
  assert.match(await complaint([], 2, { SIGNALBOX_PORT: "x" }), /SIGNALBOX_PORT takes /);
  assert.match(await complaint(["token"], 2), /--client-id/);
  assert.match(await complaint(["foo"], 2), /there is no command "foo": those that exist are /);
});

Deno.test("a port in use ends the start with status 1 and one line", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = `${listener.addr.port}`;
  const line = await complaint(["--host", "127.0.0.1", "--port", port], 1);
  const start = `signalbox: cannot listen on --host 127.0.0.1 --port ${port}: ` +
    "the port is in use by another program: stop that, or try --port ";
  assert(line.startsWith(start), line);
  const suggested = Number(/(\d+)\.\n$/.exec(line)?.[1]);
  Deno.listen({ hostname: "127.0.0.1", port: suggested }).close();
});

Deno.test("a secret's file that cannot be read ends the start with status 1 and one line", async () => {
  const line = await complaint([], 1, { SIGNALBOX_AUTH_SECRET_FILE: "/nowhere" });
  assert.match(line, /^signalbox: cannot read SIGNALBOX_AUTH_SECRET_FILE \/nowhere: /);
});

Deno.test("an address that is not this machine's ends the start with status 1 and one line", async () => {
  assert.match(await complaint(["--host", "192.0.2.1", "--port", "0"], 1), /--host 192\.0\.2\.1 /);
});

Deno.test("a certificate that cannot be read or used ends the start with status 1 and one line", async () => {
  const args = (cert: string, key: string) => ["--port", "0", "--tls-cert", cert, "--tls-key", key];
  const source = new URL(import.meta.url).pathname;
  assert.match(
    await complaint(args("/no/cert.pem", source), 1),
    /cannot read --tls-cert \/no\/cert/,
  );
  assert.match(await complaint(args(source, "/no/key.pem"), 1), /cannot read --tls-key \/no\/key/);
  assert.match(await complaint(args(source, source), 1), /--tls-cert .* holds no certificate/);
});

// Logs.

Deno.test("at the default level the log has the four lines, and no others", async () => {
  await using program = await ServingProgram.start();
  await exchange(program.url);
  await program.logged("unregistered: carol");
  program.signal("SIGTERM");
  const { stderr } = await program.ended();
  const lines = stderr.trimEnd().split("\n");
  assert.deepEqual(lines.slice(0, 8), [
    "INFO - ✅ Client registered: alice",
    "INFO - ✅ Client registered: bob",
    "INFO - ✅ Client registered: carol",
    "INFO - 📤 Message sent to bob: offer",
    "INFO - 📤 Message sent to alice: answer",
    "INFO - 📤 Message sent to bob: unknown",
    "INFO - 📢 Message broadcast to 2 clients: hello",
    "INFO - 📤 Message sent to carol: ping",
  ]);
  assert.deepEqual(lines.slice(8).sort(), [
    "INFO - Shutting down (SIGTERM)",
    "INFO - ❌ Client unregistered: alice",
    "INFO - ❌ Client unregistered: bob",
    "INFO - ❌ Client unregistered: carol",
  ]);
});

Deno.test("--log-format json writes one object a line", async () => {
  await using program = await ServingProgram.start([
    "--log-format",
    "json",
    "--log-level",
    "debug",
  ]);
  await exchange(program.url);
  program.signal("SIGTERM");
  const { stderr } = await program.ended();
  const lines = stderr.trimEnd().split("\n").map((line) => JSON.parse(line));
  for (const { time, level, msg } of lines) {
    assert.deepEqual([typeof msg, new Date(time).toISOString()], ["string", time]);
    assert(["debug", "info"].includes(level));
  }
  const { time: _, ...offer } = lines.find(({ type }) => type === "offer");
  assert.deepEqual(offer, {
    level: "info",
    msg: "📤 Message sent to bob: offer",
    client_id: "alice",
    address: "127.0.0.1",
    target_id: "bob",
    type: "offer",
    bytes: 75,
  });
});

Deno.test("--log-level error writes nothing of what goes well", async () => {
  await using program = await ServingProgram.start(["--log-level", "error"]);
  await exchange(program.url);
  program.signal("SIGTERM");
  assert.equal((await program.ended()).stderr, "");
});

/** A named pipe for the stderr of a process, read by the test alone. */
class NamedPipe implements Disposable {
  private constructor(readonly path: string, readonly folder: string, readonly file: Deno.FsFile) {}

  static async open(): Promise<NamedPipe> {
    const folder = await Deno.makeTempDir();
    const path = `${folder}/stderr`;
    await new Deno.Command("mkfifo", { args: [path] }).output();
    // To write, too: so that it opens at once, and reading does not end.
    return new NamedPipe(path, folder, await Deno.open(path, { read: true, write: true }));
  }

  /** The command of the program with its stderr led here. */
  command(): readonly string[] {
    return ["sh", "-c", `exec "$@" 2>"$0"`, this.path, ...fromSource()];
  }

  /** Reads on until `part` has come. */
  async reads(part: string): Promise<void> {
    const decoder = new TextDecoder();
    const chunk = new Uint8Array(65536);
    let text = "";
    while (!text.includes(part)) {
      const count = await this.file.read(chunk);
      text = text.slice(-part.length) +
        decoder.decode(chunk.subarray(0, count ?? 0), { stream: true });
    }
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

const UNLIMITED = ["--rate-limit", "0", "--max-buffered", "1GiB"];

/** Has as many messages forwarded as make more log lines than may wait. */
async function talkALot(url: string): Promise<void> {
  const alice = await TestClient.register(url, "a".repeat(128));
  const bob = await TestClient.register(url, "b".repeat(128));
  const type = "t".repeat(64);
  const count = 8000;
  for (let n = 0; n < count; n++) alice.send({ type, target_id: "b".repeat(128), n });
  for (let n = 0; n < count; n++) assert.equal((await bob.next()).n, n);
  for (const client of [alice, bob]) await client.close(1000);
}

Deno.test("a blocked stderr loses log lines, not messages, and their number is logged", async () => {
  using pipe = await NamedPipe.open();
  await using program = await ServingProgram.start(UNLIMITED, { command: pipe.command() });
  await talkALot(program.url);
  await pipe.reads("log lines: stderr is blocked.");
  pipe.file.close();
});

Deno.test("a blocked stderr does not delay the end", async () => {
  using pipe = await NamedPipe.open();
  await using program = await ServingProgram.start(UNLIMITED, { command: pipe.command() });
  await talkALot(program.url);
  program.signal("SIGTERM");
  assert.equal((await program.ended()).status, 0);
  pipe.file.close();
});

Deno.test("a stderr that is closed stops nothing", async () => {
  using pipe = await NamedPipe.open();
  await using program = await ServingProgram.start(UNLIMITED, { command: pipe.command() });
  pipe.file.close();
  await talkALot(program.url);
  await exchange(program.url);
  program.signal("SIGTERM");
  assert.equal((await program.ended()).status, 0);
});

// What it may do.

/** Runs the program, and prints what it may still do once it listens. */
const AFTER_START = new URL("../helpers/after_start.ts", import.meta.url).pathname;

testOnRuntimes("the start revokes the permissions that only it needs", async (command) => {
  const script = { command: fromSource(command[0], AFTER_START) };
  await using program = await ServingProgram.start([], script);
  await program.logged("permissions: env prompt, sys prompt, read prompt, net granted, env {}");
  const alice = await TestClient.register(program.url, "alice");
  await alice.close(1000);
  assert.match(await (await fetch(program.httpUrl)).text(), /<title>/);
});

testOnRuntimes("it returns to Redis without the permissions that it gave away", async (command) => {
  if (isRedisMissing()) return;
  await using redis = await TestRedis.start();
  await using program = await ServingProgram.start(["--redis", redis.url], { command });
  await program.logged("INFO - Joined the cluster");
  await redis.kill();
  await program.logged("WARN - Serving alone, trying again: ");
  await redis.restart();
  await program.logged("INFO - Joined the cluster", 2);
});

// The end.

Deno.test("--drain-delay lets clients stay while newcomers are refused", async () => {
  await using program = await ServingProgram.start(["--drain-delay", "200ms"]);
  const alice = await TestClient.register(program.url, "alice");
  program.signal("SIGTERM");
  await program.logged("Shutting down");
  alice.send({ target_id: "alice" });
  assert.deepEqual(await alice.next(), { from: "alice" });
  await assert.rejects(TestClient.connect(program.url));
  assert.deepEqual(await alice.ending(), [1012, "shutting_down"]);
  assert.equal((await program.ended()).status, 0);
});

Deno.test("a shutdown that fails ends it all the same", async () => {
  const source = new URL("../helpers/failing_drain.ts", import.meta.url).pathname;
  await using program = await ServingProgram.start([], { command: fromSource(undefined, source) });
  program.signal("SIGTERM");
  const { status, stderr } = await program.ended();
  assert.equal(status, 0);
  assert.match(stderr, /^ERROR - Internal error in signalbox \(shutdown\), .*the drain fails/m);
});

Deno.test("SIGINT ends it as SIGTERM does", async () => {
  await using program = await ServingProgram.start();
  const alice = await TestClient.register(program.url, "alice");
  program.signal("SIGINT");
  assert.deepEqual(await alice.ending(), [1012, "shutting_down"]);
  const { status, stderr } = await program.ended();
  assert.equal(status, 0);
  assert.match(stderr, /^INFO - Shutting down \(SIGINT\)$/m);
});

// Each runtime that is supported.

testOnRuntimes("it carries the core protocol", async (command) => {
  await using program = await ServingProgram.start([], { command });
  await exchange(program.url);
});

testOnRuntimes("SIGTERM ends it in order, also with a client that is silent", async (command) => {
  await using program = await ServingProgram.start(["--drain-timeout", "2s"], { command });
  await shutDown(program);
});
