/** The script that hands a renewed certificate to a signalbox without a proxy. */

import assert from "node:assert/strict";
import { Certificate, isMissingOpenssl } from "../helpers/certificate.ts";
import { ServingProgram } from "../helpers/program.ts";
import { printedFile, replaceAll } from "./document.ts";

/** Runs the printed script as certbot does, with a stand-in for `systemctl`. */
async function renew(folder: string, certificate: Certificate, systemctl: string): Promise<void> {
  const lineage = await Deno.makeTempDir({ dir: folder });
  await Deno.copyFile(certificate.certPath, `${lineage}/fullchain.pem`);
  await Deno.copyFile(certificate.keyPath, `${lineage}/privkey.pem`);
  const script = replaceAll(printedFile("/usr/local/sbin/signalbox-certificate"), {
    "-g signalbox-tls": `-g ${Deno.gid()}`,
    "/etc/signalbox-tls": `${folder}/tls`,
    "systemctl try-reload-or-restart signalbox": systemctl,
  });
  const env = { RENEWED_LINEAGE: lineage };
  const { success, stderr } = await new Deno.Command("sh", { args: ["-c", script], env }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

async function isServed(program: ServingProgram, certificate: Certificate): Promise<boolean> {
  using client = Deno.createHttpClient({ caCerts: [certificate.pem] });
  try {
    const response = await fetch(`${program.httpUrl}/healthz`, { client });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

Deno.test("the printed script renews the certificate of a running signalbox", async () => {
  if (isMissingOpenssl()) return;
  using first = await Certificate.make();
  using second = await Certificate.make();
  const folder = await Deno.makeTempDir();
  try {
    await renew(folder, first, "true");
    const files = ["--tls-cert", `${folder}/tls/cert.pem`, "--tls-key", `${folder}/tls/key.pem`];
    await using program = await ServingProgram.start(files);
    assert.ok(await isServed(program, first));
    await renew(folder, second, `kill -s HUP ${program.pid}`);
    await program.logged("SIGHUP: listening with the certificate as it is now.");
    assert.deepEqual([await isServed(program, first), await isServed(program, second)], [
      false,
      true,
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
