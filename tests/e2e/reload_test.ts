/** SIGHUP: a renewed certificate is listened with, and nothing else ends the process. */

import assert from "node:assert/strict";
import { Certificate, isMissingOpenssl } from "../helpers/certificate.ts";
import { ServingProgram } from "../helpers/program.ts";
import { RawPeer } from "../helpers/raw_peer.ts";
import { testOnRuntimes } from "../helpers/runtimes.ts";

/** Connects, registers, and returns the answer. */
async function register(url: string, certificate: Certificate, members: object) {
  const peer = await RawPeer.open(url, {}, { caCert: certificate.pem });
  await peer.sendText(JSON.stringify({ type: "register", ...members }));
  const answer = await peer.readFrame();
  return { peer, answer: JSON.parse(new TextDecoder().decode(answer?.payload)) };
}

function tlsArguments({ certPath, keyPath }: Certificate): readonly string[] {
  return ["--tls-cert", certPath, "--tls-key", keyPath];
}

testOnRuntimes("SIGHUP reads a renewed certificate; clients resume", async (command) => {
  if (isMissingOpenssl()) return;
  using certificate = await Certificate.make();
  using renewed = await Certificate.make();
  await using program = await ServingProgram.start(tlsArguments(certificate), { command });
  using silent = await RawPeer.open(program.url, {}, { caCert: certificate.pem }); // answers no close
  const alice = await register(program.url, certificate, { client_id: "alice", resume: true });
  const bob = await register(program.url, certificate, { client_id: "bob" });
  const { resume } = alice.answer;

  certificate.renew(renewed);
  program.signal("SIGHUP");
  assert.deepEqual(await alice.peer.readClose(), { code: 1012, reason: "shutting_down" });
  assert.deepEqual(await bob.peer.readClose(), { code: 1012, reason: "shutting_down" });
  await program.logged("SIGHUP: listening with the certificate as it is now.");
  for (const { peer } of [alice, bob]) peer.close();

  const again = await register(program.url, renewed, { client_id: "alice", resume });
  assert.equal(again.answer.resumed, true);
  again.peer.close();
  silent.close();
  program.signal("SIGTERM");
  assert.equal((await program.ended()).status, 0);
});

testOnRuntimes("SIGHUP keeps the old certificate if the new one is bad", async (command) => {
  if (isMissingOpenssl()) return;
  using certificate = await Certificate.make();
  using other = await Certificate.make();
  const old = certificate.pem;
  await using program = await ServingProgram.start(tlsArguments(certificate), { command });
  const alice = await register(program.url, certificate, { client_id: "alice" });
  Deno.writeTextFileSync(certificate.certPath, other.pem);
  program.signal("SIGHUP");
  await program.logged("ERROR - SIGHUP: the old certificate stays: --tls-key ");
  Deno.removeSync(certificate.certPath);
  program.signal("SIGHUP");
  await program.logged("ERROR - SIGHUP: the old certificate stays: cannot read --tls-cert ");
  await alice.peer.sendText('{"target_id":"alice"}');
  const message = new TextDecoder().decode((await alice.peer.readFrame())?.payload);
  assert.equal(message, '{"from":"alice"}');
  alice.peer.close();
  Deno.writeTextFileSync(certificate.certPath, old);
});

testOnRuntimes("SIGHUP without TLS is a line in the log", async (command) => {
  await using program = await ServingProgram.start([], { command });
  program.signal("SIGHUP");
  await program.logged("INFO - SIGHUP: there is no certificate to be read again.");
  assert.equal((await fetch(`${program.httpUrl}/healthz`).then((it) => it.json())).status, "ok");
});

Deno.test("a certificate that expires soon is a warning at the start", async () => {
  if (isMissingOpenssl()) return;
  using certificate = await Certificate.make(2);
  await using program = await ServingProgram.start(tlsArguments(certificate));
  await program.logged("WARN - The certificate of --tls-cert expires at ");
});
