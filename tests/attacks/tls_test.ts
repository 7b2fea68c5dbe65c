/** wss and https, with a certificate made here, and peers that begin a TLS handshake and leave it there. */

import assert from "node:assert/strict";
import { Certificate, isMissingOpenssl } from "../helpers/certificate.ts";
import { runProgram, ServingProgram } from "../helpers/program.ts";
import { RawPeer } from "../helpers/raw_peer.ts";
import { testOnRuntimes } from "../helpers/runtimes.ts";

const REGISTER = '{"type":"register","client_id":"alice"}';

async function registerOverTls(url: string, caCert: string): Promise<RawPeer> {
  const peer = await RawPeer.open(url, {}, { caCert });
  await peer.sendText(REGISTER);
  const answer = await peer.readFrame();
  assert.equal(
    new TextDecoder().decode(answer?.payload),
    '{"type":"registered","client_id":"alice"}',
  );
  return peer;
}

testOnRuntimes("with a certificate the public port speaks wss and https", async (command) => {
  if (isMissingOpenssl()) return;
  using certificate = await Certificate.make();
  const { certPath, keyPath, pem } = certificate;
  const args = ["--tls-cert", certPath, "--tls-key", keyPath];
  await using program = await ServingProgram.start(args, { command });
  assert.match(program.url, /^wss:/);
  using alice = await registerOverTls(program.url, pem);
  await alice.sendText('{"target_id":"alice","text":"über TLS"}');
  const message = new TextDecoder().decode((await alice.readFrame())?.payload);
  assert.equal(message, '{"from":"alice","text":"über TLS"}');

  using trusting = Deno.createHttpClient({ caCerts: [pem] });
  const health = await fetch(`${program.httpUrl}/healthz`, { client: trusting });
  assert.deepEqual([health.status, (await health.json()).clients], [200, 1]);
  await assert.rejects(fetch(`${program.httpUrl}/healthz`)); // does not trust the certificate
});

testOnRuntimes("TLS handshakes that are left unfinished delay no other client", async (command) => {
  if (isMissingOpenssl()) return;
  using certificate = await Certificate.make();
  const { certPath, keyPath, pem } = certificate;
  const args = [
    "--tls-cert",
    certPath,
    "--tls-key",
    keyPath,
    "--log-level",
    "warn",
    "--drain-timeout",
    "1s",
  ];
  await using program = await ServingProgram.start(args, { command });
  using peers = new DisposableStack();
  const beginnings = ["", "\x16\x03\x01\x02\x00\x01", "GET / HTTP/1.1\r\n\r\n", "\0\0\0\0"];
  for (let n = 0; n < 200; n++) {
    const peer = peers.use(await RawPeer.connect(program.url));
    await peer.write(beginnings[n % beginnings.length]!);
  }
  using alice = await registerOverTls(program.url, pem);
  alice.close();
  program.signal("SIGTERM");
  assert.deepEqual(await program.ended(), { status: 0, stdout: "", stderr: "" });
});

Deno.test("a certificate that is none stops the start with one line and status 1", async () => {
  if (isMissingOpenssl()) return;
  using certificate = await Certificate.make();
  using other = await Certificate.make();
  const { certPath, keyPath } = certificate;
  const pairs = [
    [keyPath, keyPath],
    [certPath, certPath],
    [certPath, other.keyPath],
    ["/nowhere.pem", keyPath],
    [certPath, "/nowhere.pem"],
  ] as const;
  for (const [cert, key] of pairs) {
    const files = ["--tls-cert", cert, "--tls-key", key];
    const { status, stderr } = await runProgram(["--port", "0", ...files]);
    assert.deepEqual([status, stderr.split("\n").length], [1, 2], stderr);
    const isNamed = [`--tls-cert ${cert}`, `--tls-key ${key}`].some((file) =>
      stderr.includes(file)
    );
    assert(isNamed, stderr);
  }
});
