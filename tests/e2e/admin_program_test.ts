/** The admin listener of the program itself: its options, its address, its permissions. */

import assert from "node:assert/strict";
import { TestClient } from "../helpers/client.ts";
import { ownEnvironment, runProgram, ServingProgram } from "../helpers/program.ts";

/** Takes a port for as long as a test needs it. */
function takePort(port = 0): Deno.Listener & Disposable {
  return Deno.listen({ hostname: "127.0.0.1", port });
}

function portOf({ addr }: Deno.Listener): number {
  return (addr as Deno.NetAddr).port;
}

Deno.test("the program prints the address of its admin page, and counts with the permissions that it has", async () => {
  await using program = await ServingProgram.start(["--admin", "127.0.0.1:0"]);
  const alice = await TestClient.register(program.url, "alice");
  const text = await (await fetch(`${program.adminUrl}metrics`)).text();
  assert.match(text, /^signalbox_clients 1$/m);
  assert.match(text, /^signalbox_build_info\{version="\d+\.\d+\.\d+"\} 1$/m);
  const memory = /^process_resident_memory_bytes (\d+)$/m.exec(text)?.[1];
  assert.ok(Number(memory) > 1e7, memory);
  const page = await (await fetch(`${program.adminUrl}`)).text();
  assert.match(page, /<title>signalbox admin<\/title>/);
  await alice.close();
});

Deno.test("--admin off: no admin listener, and no line about it", async () => {
  await using program = await ServingProgram.start(["--admin", "off"]);
  assert.equal(program.adminUrl, undefined);
});

Deno.test("--admin with a port that is taken stops the start with status 1", async () => {
  using taken = takePort();
  const address = `127.0.0.1:${portOf(taken)}`;
  const { status, stdout, stderr } = await runProgram(["--port", "0", "--admin", address]);
  assert.equal(status, 1);
  assert.equal(stdout, "");
  assert.match(
    stderr,
    new RegExp(
      `^signalbox: cannot listen on --admin ${address}: .* or try --admin 127.0.0.1:\\d+\\.\n$`,
    ),
  );
});

Deno.test("the program serves without an admin listener if the default port is taken, and logs that", async () => {
  let taken: Disposable | null = null;
  try {
    taken = takePort(8766);
  } catch {
    // another program has it, which is as good
  }
  const program = await ServingProgram.start([], { hasDefaultAdmin: true });
  const alice = await TestClient.register(program.url, "alice");
  await alice.close();
  assert.equal(program.adminUrl, undefined);
  program.signal("SIGTERM");
  const { status, stderr } = await program.ended();
  assert.equal(status, 0);
  assert.match(stderr, /^WARN - No admin page: cannot listen on --admin 127\.0\.0\.1:8766: /m);
  taken?.[Symbol.dispose]();
});

Deno.test("an admin address that others can reach needs a password, or the start fails with status 2", async () => {
  for (const address of ["0.0.0.0:0", "[::]:0", "192.0.2.1:8766", "admin.example.org:8766"]) {
    const { status, stderr } = await runProgram(["--port", "0", "--admin", address]);
    assert.equal(status, 2);
    const said = `--admin ${address} can be reached from other machines: it needs --admin-password`;
    assert.equal(stderr, `signalbox: ${said}.\n`);
  }
});

Deno.test("--admin-password is asked for, by whatever name of the host", async () => {
  const password = "open, sesame";
  const env = { ...ownEnvironment(), SIGNALBOX_ADMIN_PASSWORD: password };
  await using program = await ServingProgram.start(["--admin", "0.0.0.0:0"], { env });
  const url = program.adminUrl!.replace("0.0.0.0", "127.0.0.1");
  const refused = await fetch(`${url}metrics`);
  await refused.body?.cancel();
  assert.equal(refused.status, 401);
  const headers = { authorization: `Basic ${btoa(`prometheus:${password}`)}` };
  const served = await fetch(`${url}metrics`, { headers });
  assert.match(await served.text(), /^signalbox_clients 0$/m);
});

Deno.test("SIGTERM ends the program while an admin page is open", async () => {
  const program = await ServingProgram.start(["--admin", "127.0.0.1:0"]);
  const { hostname, port } = new URL(program.adminUrl!);
  using halfSent = await Deno.connect({ hostname, port: Number(port) });
  await halfSent.write(new TextEncoder().encode("GET /metrics HTTP/1.1\r\nHost: "));
  await (await fetch(`${program.adminUrl}api/overview`)).body?.cancel();
  program.signal("SIGTERM");
  assert.equal((await program.ended()).status, 0);
});
