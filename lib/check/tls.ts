/** TLS as a step of the check: chain, names, days left, and what is wrong in words. */

import { isIP } from "node:net";
import { connect } from "node:tls";
import { messageOf } from "../log.ts";
import { type Endpoint, openConnection, type TlsTrust } from "./connect.ts";
import { Failure } from "./failure.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
/** Days below which the line advises a renewal. Authorities' own clients renew 30 days before the end. */
const FEW_DAYS = 14;
const READ_TIMEOUT_MS = 5000;

/** The contents of a certificate. */
interface Certificate {
  readonly names: string;
  readonly issuer: string;
  readonly isSelfSigned: boolean;
  readonly expiresMs: number;
}

/**
 * Checks that clients accept the certificate.
 *
 * @param acceptsOtherName true for this machine, which is asked by its address: then any name of the certificate will do
 * @throws {Failure} that says why they do not
 */
export async function checkTls(
  endpoint: Endpoint & { readonly tls: TlsTrust },
  acceptsOtherName: boolean,
): Promise<{ readonly tls: TlsTrust; readonly text: string }> {
  const { tls } = endpoint;
  const reading = readCertificate(endpoint);
  try {
    (await openConnection(endpoint)).close();
    return { tls, text: describe(await reading, tls.hostname) };
  } catch (error) {
    const certificate = await reading;
    if (error instanceof Failure) throw error;
    const message = messageOf(error);
    const [other] = namesIn(message);
    if (acceptsOtherName && other !== undefined) {
      const renamed = { ...tls, hostname: other.replace("*", "any") };
      return await checkTls({ ...endpoint, tls: renamed }, false);
    }
    throw new Failure(explain(message, endpoint, certificate));
  }
}

function describe(certificate: Certificate | null, hostname: string): string {
  if (certificate === null) return `the certificate is accepted for ${hostname}`;
  const { names, issuer, expiresMs } = certificate;
  const days = Math.floor((expiresMs - Date.now()) / DAY_MS);
  const advice = days < FEW_DAYS ? ": renew it soon" : "";
  return `certificate for ${names}, issued by ${issuer}, ${days} days left${advice}`;
}

/** Returns the names that the runtime's message about a wrong name lists. */
function namesIn(message: string): string[] {
  const [, list = ""] = /is only valid for (.*)/.exec(message) ?? [];
  return [...list.matchAll(/(?:DnsName\("([^"]+)"\)|IpAddress\(([^)]+)\))/g)]
    .map(([, name, address]) => (name ?? address)!);
}

/** Explains the runtime's message about a failed handshake. */
function explain(
  message: string,
  { port, tls: { hostname, caCerts } }: Endpoint & { readonly tls: TlsTrust },
  certificate: Certificate | null,
): string {
  if (/InvalidContentType/.test(message)) {
    return `Port ${port} speaks no TLS. Write ws:// for a server without TLS, or give the port ` +
      "of the one that has it (443 for most proxies).";
  }
  if (/not valid for name|NotValidForName/.test(message)) {
    const names = namesIn(message).join(", ") || certificate?.names || "other names";
    return `The certificate is for ${names}, not for ${hostname}. Use a URL with a name that it ` +
      `has, or get a certificate for ${hostname}.`;
  }
  if (/expired/i.test(message)) return explainExpired(message, certificate);
  if (/not valid yet|NotValidYet/.test(message)) {
    return "The certificate is not valid yet. Check the clocks of the server and of this machine.";
  }
  if (caCerts.length > 0 && /CaUsedAsEndEntity/.test(message)) return CA_AS_SERVER;
  if (caCerts.length > 0 && /UnknownIssuer|BadSignature/.test(message)) { // BadSignature: another of its name
    return explainOtherCa(certificate);
  }
  if (/UnknownIssuer|CaUsedAsEndEntity/.test(message)) return explainIssuer(certificate);
  if (/fatal alert|end of file|reset/i.test(message)) {
    return `The server has ended the TLS handshake (${message}). It has no certificate for ` +
      `${hostname}, most likely: see the log of signalbox or of the proxy before it. Or the ` +
      "port is for something else.";
  }
  return `The TLS handshake has failed: ${message}.`;
}

function explainExpired(message: string, certificate: Certificate | null): string {
  const [, seconds] = /not valid after (\d+)/.exec(message) ?? [];
  const expiredMs = certificate?.expiresMs ?? Number(seconds) * 1000;
  const when = Number.isNaN(expiredMs) ? "" : ` at ${new Date(expiredMs).toISOString()}`;
  return `The certificate expired${when}. Renew it (certbot renew), then have it read again ` +
    "(systemctl reload). If it was renewed already, the server still uses the old file.";
}

/** Explains a certificate that rustls accepts for no server, even if its authority is trusted (RFC 5280 section 4.2.1.9). */
const CA_AS_SERVER =
  "The server's own certificate is that of an authority (CA:TRUE). Many clients " +
  "accept such a one for no server, even with --ca. Sign a certificate for the server with it, or " +
  "make a self-signed one with basicConstraints=critical,CA:FALSE.";

function explainOtherCa(certificate: Certificate | null): string {
  const issuer = certificate === null ? "" : `, ${certificate.issuer}`;
  return "The file of --ca does not hold the authority that signed the server's certificate" +
    `${issuer}. Give the certificate of that one. Or the server does not send the intermediate certificates: have ` +
    "it serve fullchain.pem, not cert.pem.";
}

function explainIssuer(certificate: Certificate | null): string {
  const forPrivate = "If your clients trust its authority, give its certificate with --ca.";
  const forPublic = "Browsers refuse it: get one from a public authority, such as Let's Encrypt.";
  if (certificate === null) {
    return "The certificate is self-signed, of a private authority, or without its " +
      `intermediates (serve fullchain.pem, not cert.pem). ${forPublic} ${forPrivate}`;
  }
  if (certificate.isSelfSigned) {
    return `The certificate for ${certificate.names} is self-signed. ${forPublic} ${forPrivate}`;
  }
  return `The authority ${certificate.issuer} is not known. The server does not send the ` +
    "intermediate certificates, most likely: have it serve fullchain.pem, not cert.pem. " +
    forPrivate;
}

/** Reads the certificate without a check of it; null if the runtime cannot, as Deno 2.4, or the port speaks no TLS. */
function readCertificate(
  { address: host, port, tls: { hostname } }: Endpoint & { readonly tls: TlsTrust },
): Promise<Certificate | null> {
  return new Promise((resolve) => {
    const names = isIP(hostname) === 0 ? { servername: hostname } : {};
    const socket = connect({ host, port, ...names, rejectUnauthorized: false }, () => {
      const { subject, issuer, subjectaltname = "", valid_to } = socket.getPeerCertificate();
      socket.destroy();
      const expiresMs = Date.parse(valid_to ?? "");
      if (Number.isNaN(expiresMs)) return resolve(null);
      resolve({
        names: subjectaltname.replaceAll(/\b(DNS|IP Address):/g, "") || subject.CN,
        issuer: [issuer.O, issuer.CN].filter(Boolean).join(" ") || "an authority without a name",
        isSelfSigned: JSON.stringify(subject) === JSON.stringify(issuer),
        expiresMs,
      });
    });
    socket.setTimeout(READ_TIMEOUT_MS, () => socket.destroy());
    socket.on("error", () => {}); // the handshake of the check says it better
    socket.on("close", () => resolve(null));
  });
}
