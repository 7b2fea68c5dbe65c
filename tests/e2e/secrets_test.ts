/** Secrets that the program must not print, and its command that makes tokens. */

import assert from "node:assert/strict";
import { BareClient } from "../helpers/bare_client.ts";
import { type Message, TestClient } from "../helpers/client.ts";
import { KeyHost, newKey, signWith } from "../helpers/key_host.ts";
import { runProgram, ServingProgram } from "../helpers/program.ts";
import { SECRET } from "../helpers/tokens.ts";

const TURN_SECRET = "shared with the TURN server";

/** Runs `signalbox token`, and reads the token. */
async function printToken(...args: readonly string[]): Promise<string> {
  const env = { ...Deno.env.toObject(), SIGNALBOX_AUTH_SECRET: SECRET };
  const { status, stdout, stderr } = await runProgram(["token", ...args], { env });
  assert.deepEqual([status, stderr], [0, ""]);
  assert.match(stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  return stdout.trim();
}

/** Registers, and returns the result: `registered`, or the code of the error. */
async function outcome(url: string, clientId: string, more: Message): Promise<unknown> {
  const client = await TestClient.connect(url);
  client.send({ type: "register", client_id: clientId, ...more });
  const { type, code } = await client.next();
  if (type === "error") await client.closed;
  else await client.close(1000);
  return code ?? type;
}

Deno.test("signalbox token prints a token that works, and for nothing else than it says", async () => {
  await using program = await ServingProgram.start(["--auth-secret", SECRET]);
  const anyRoom = await printToken("--client-id", "alice");
  assert.equal(await outcome(program.url, "alice", { token: anyRoom }), "registered");
  assert.equal(await outcome(program.url, "alice", { token: anyRoom, room: "r" }), "registered");
  assert.equal(await outcome(program.url, "bob", { token: anyRoom }), "forbidden");
  const lobby = await printToken("--client-id", "☎ 1", "--room", "lobby", "--ttl", "5m");
  assert.equal(await outcome(program.url, "☎ 1", { token: lobby, room: "lobby" }), "registered");
  assert.equal(await outcome(program.url, "☎ 1", { token: lobby }), "forbidden");
  assert.equal(await outcome(program.url, "alice", {}), "unauthorized");
});

Deno.test("an error with secrets is one line that names the option, and does not quote it", async () => {
  const short = "thirty-one bytes are not enough";
  const rule = "takes a secret of at least 32 bytes";
  const cases: [string[], Record<string, string>, string][] = [
    [["--auth-secret", short], {}, `--auth-secret ${rule}`],
    [[], { SIGNALBOX_AUTH_SECRET: short }, `SIGNALBOX_AUTH_SECRET ${rule}`],
    [["token", "--client-id", "a", "--auth-secret", short], {}, `--auth-secret ${rule}`],
    [["token", "--client-id", "a"], {}, "token needs --auth-secret"],
    [["token", "--auth-secret", SECRET], {}, "--client-id"],
    [["token", "--auth-secret", SECRET, "--client-id", "a\n"], {}, "--client-id takes"],
    [["token", "--auth-secret", SECRET, "--client-id", "a", "--ttl", "5"], {}, "--ttl takes"],
    [["token", "--auth-secret", SECRET, "--client-id", "a", "--room", ""], {}, "--room"],
    [["--auth-jwks", "keys.json"], {}, "--auth-jwks takes a URL"],
    [["--turn-secret", TURN_SECRET], {}, "--turn-secret needs an --ice-server"],
    [["--ice-server", "turn:localhost"], {}, "needs --turn-secret"],
  ];
  const env = Deno.env.toObject();
  await Promise.all(cases.map(async ([args, variables, message]) => {
    const { status, stdout, stderr } = await runProgram(args, { env: { ...env, ...variables } });
    assert.deepEqual([status, stdout], [2, ""], stderr);
    assert.match(stderr, /^signalbox: [^\n]+\n$/);
    assert.ok(stderr.includes(message), stderr);
    for (const secret of [short, SECRET, TURN_SECRET]) assert.ok(!stderr.includes(secret), stderr);
  }));
});

for (const format of ["text", "json"]) {
  Deno.test(`neither tokens nor secrets nor credentials are logged, as ${format}`, async () => {
    const key = await newKey("ES256", "k");
    await using host = new KeyHost([key]);
    const options = [
      ...["--log-level", "debug", "--log-format", format],
      ...["--auth-secret", SECRET, "--auth-jwks", `${host.url}`],
      ...["--ice-server", "turn:localhost", "--turn-secret", TURN_SECRET],
    ];
    const program = await ServingProgram.start(options);
    const { url } = program;
    const good = await signWith(key, { sub: "alice" });
    const bad = await signWith({ ...key, kid: "unknown" });
    const expired = await signWith(key, { exp: 1 });
    const hidden = [SECRET, TURN_SECRET, good, bad, expired];
    for (const token of [good, bad, expired, `${good}x`, "made-up-token", ["in-an-array"]]) {
      await outcome(url, "alice", { token });
    }
    await outcome(`${url}/?token=${good}`, "alice", {});
    using client = await BareClient.connect(url, { authorization: `Bearer ${good}` });
    await client.send({ type: "register", client_id: "alice", resume: true });
    const { resume, ice_servers } = await client.next();
    const { username, credential } =
      (ice_servers as { username: string; credential: string }[])[0]!;
    hidden.push(resume as string, username, credential, "made-up-token", "in-an-array");
    await outcome(url, "alice", { token: expired, resume: "made-up-secret" });
    await outcome(url, "alice", { token: good, resume });
    await outcome(url, "alice", { type: "register", token: good, password: "payload" });
    hidden.push("made-up-secret", "payload");
    client.cut();
    program.signal("SIGTERM");
    const { status, stderr } = await program.ended();
    assert.equal(status, 0);
    assert.match(stderr, /Client registered: alice/);
    assert.match(stderr, /unauthorized/);
    for (const secret of hidden) assert.ok(!stderr.includes(secret), `${secret} in ${stderr}`);
  });
}

Deno.test("a key set that cannot be fetched is logged, and the server serves", async () => {
  await using down = new KeyHost([]);
  down.answer = () => new Response(null, { status: 500 });
  const program = await ServingProgram.start(["--auth-jwks", `${down.url}`]);
  const key = await newKey("ES256", "k");
  const token = await signWith(key);
  assert.equal(await outcome(program.url, "alice", { token }), "unauthorized");
  down.keys.push(key.publicJwk);
  down.answer = () => down.giveKeys();
  assert.equal(await outcome(program.url, "alice", { token }), "registered");
  program.signal("SIGTERM");
  const { stderr } = await program.ended();
  assert.match(stderr, /^WARN - The keys of --auth-jwks could not be fetched: HTTP status 500$/m);
});
