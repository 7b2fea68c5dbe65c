/** Errors of a certificate and its key are explained, and an expiry is announced in time. */

import assert from "node:assert/strict";
import { checkPair, expiryWarning } from "../../lib/http/certificate.ts";
import { Certificate, isMissingOpenssl, openssl } from "../helpers/certificate.ts";

const PATHS = { cert: "/etc/cert.pem", key: "/etc/key.pem" };

function complaint(cert: string, key: string): string | null {
  try {
    checkPair({ cert, key }, PATHS);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

Deno.test("checkPair() takes a key and its certificate, first in the file", async () => {
  if (isMissingOpenssl()) return;
  using own = await Certificate.make();
  using other = await Certificate.make();
  assert.equal(complaint(own.pem, own.key), null);
  assert.equal(complaint(`${own.pem}\n${other.pem}`, own.key), null);
  assert.equal(complaint(`subject=CN\r\n${own.pem}`.replaceAll("\n", "\r\n"), own.key), null);
});

Deno.test("checkPair() names a file that holds something else", async () => {
  if (isMissingOpenssl()) return;
  using own = await Certificate.make();
  const noCertificate = "--tls-cert /etc/cert.pem holds no certificate (PEM)";
  const noKey = "--tls-key /etc/key.pem holds no private key (PEM)";
  for (const text of ["", "nonsense", own.key]) {
    assert.equal(complaint(text, own.key), noCertificate);
  }
  for (const text of ["", "nonsense", own.pem]) assert.equal(complaint(own.pem, text), noKey);
});

Deno.test("checkPair() says of an encrypted key how to decrypt it", async () => {
  if (isMissingOpenssl()) return;
  using own = await Certificate.make();
  for (const form of [["pkey"], ["ec"]]) { // PKCS #8, and the older one
    const encrypted = await openssl([
      ...form,
      "-in",
      own.keyPath,
      "-aes256",
      "-passout",
      "pass:hush",
    ]);
    assert.equal(
      complaint(own.pem, encrypted),
      "--tls-key /etc/key.pem is encrypted, and signalbox does not ask for a password: " +
        "decrypt it with openssl pkey -in /etc/key.pem -out key.pem",
    );
  }
});

Deno.test("checkPair() distinguishes a foreign key from a wrong order", async () => {
  if (isMissingOpenssl()) return;
  using own = await Certificate.make();
  using other = await Certificate.make();
  assert.equal(
    complaint(own.pem, other.key),
    "--tls-key /etc/key.pem does not belong to the certificate of --tls-cert /etc/cert.pem",
  );
  assert.equal(
    complaint(`${other.pem}${own.pem}`, own.key),
    "--tls-cert /etc/cert.pem is in the wrong order: the server's own certificate, number 2, " +
      "has to be the first",
  );
});

Deno.test("expiryWarning() warns of the last seven days, and of an expired one", async () => {
  if (isMissingOpenssl()) return;
  using own = await Certificate.make(2);
  const now = Date.now();
  const day = 24 * 60 * 60 * 1000;
  const advice = "Renew it, then send SIGHUP.";
  assert.match(
    expiryWarning(own.pem, now)!,
    /^The certificate of --tls-cert expires at \d{4}-.*Z, in less than 2 days\. Renew it/,
  );
  const expired = expiryWarning(own.pem, now + 3 * day)!;
  assert.match(expired, /^The certificate of --tls-cert expired at \d{4}-[^ ]*Z\. /);
  assert.ok(expired.endsWith(advice));
  assert.equal(expiryWarning(own.pem, now - 6 * day), null);
  assert.equal(expiryWarning("nonsense", now), null);
});
