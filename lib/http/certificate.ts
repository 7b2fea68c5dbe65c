/** Reads, checks and reloads the certificate and its key, and warns before it expires. */

import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Options } from "../config/options.ts";
import { asSentence, type Log, messageOf } from "../log.ts";

/** A certificate chain and its private key, both PEM. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

/** The paths of both files. */
interface TlsPaths {
  readonly cert: string;
  readonly key: string;
}

/**
 * Reads and checks both files.
 *
 * @param readTextFile throws if it cannot read a file
 * @throws {Error} if a file is wrong; the message names it and says what to do
 */
function readPair(paths: TlsPaths, readTextFile: (path: string) => string): TlsFiles {
  const read = (flag: string, path: string) => {
    try {
      return readTextFile(path);
    } catch (error) {
      throw new Error(`cannot read ${flag} ${path}: ${messageOf(error)}`);
    }
  };
  const files = { cert: read("--tls-cert", paths.cert), key: read("--tls-key", paths.key) };
  checkPair(files, paths);
  return files;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const PRIVATE_KEY = /-----BEGIN ([A-Z]+ )*PRIVATE KEY-----/;
const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m;

/**
 * Checks that a key belongs to the first certificate. Formats that only the TLS library reads are left to it.
 *
 * @throws {Error} if a file is wrong; the message names it and says what to do
 */
export function checkPair({ cert, key }: TlsFiles, paths: TlsPaths): void {
  const chain = cert.match(CERTIFICATE) ?? [];
  if (chain.length === 0) throw new Error(`--tls-cert ${paths.cert} holds no certificate (PEM)`);
  if (!PRIVATE_KEY.test(key)) throw new Error(`--tls-key ${paths.key} holds no private key (PEM)`);
  if (ENCRYPTED.test(key)) {
    throw new Error(
      `--tls-key ${paths.key} is encrypted, and signalbox does not ask for a password: ` +
        `decrypt it with openssl pkey -in ${paths.key} -out key.pem`,
    );
  }
  const own = publicKeyOf(() => createPublicKey(createPrivateKey(key)));
  if (own === null) return;
  const keys = chain.map((pem) => publicKeyOf(() => new X509Certificate(pem).publicKey));
  if (keys[0] === null || keys[0]?.equals(own)) return;
  const position = keys.findIndex((other) => other?.equals(own));
  if (position < 0) {
    throw new Error(
      `--tls-key ${paths.key} does not belong to the certificate of --tls-cert ${paths.cert}`,
    );
  }
  throw new Error(
    `--tls-cert ${paths.cert} is in the wrong order: the server's own certificate, number ` +
      `${position + 1}, has to be the first`,
  );
}

/** Returns the key in DER; null if the runtime cannot read it, as Deno 2.4 some kinds. */
function publicKeyOf(read: () => ReturnType<typeof createPublicKey>): Buffer | null {
  try {
    return read().export({ type: "spki", format: "der" });
  } catch {
    return null;
  }
}

const DAY_MS = 24 * 60 * 60 * 1000;
const WARN_DAYS = 7;

/**
 * Returns a warning about a certificate that has expired or will within a week; null if it is valid for longer.
 *
 * @param epochMs the time, in milliseconds since 1970
 */
export function expiryWarning(cert: string, epochMs: number): string | null {
  const [pem] = cert.match(CERTIFICATE) ?? [];
  const expiresMs = pem === undefined ? NaN : expiryOf(pem);
  const leftMs = expiresMs - epochMs;
  if (!(leftMs < WARN_DAYS * DAY_MS)) return null;
  const time = new Date(expiresMs).toISOString();
  const advice = "Renew it, then send SIGHUP.";
  if (leftMs <= 0) return `The certificate of --tls-cert expired at ${time}. ${advice}`;
  return `The certificate of --tls-cert expires at ${time}, in less than ` +
    `${Math.ceil(leftMs / DAY_MS)} days. ${advice}`;
}

/** Milliseconds since 1970; NaN if the runtime cannot read it. */
function expiryOf(pem: string): number {
  try {
    return Date.parse(new X509Certificate(pem).validTo);
  } catch {
    return NaN;
  }
}

/** A server that can listen with another certificate. */
interface Reloadable {
  reload(files: TlsFiles): Promise<void>;
}

/** The certificate of a server and its key, as last read. */
export class Certificate {
  readonly #paths: TlsPaths | null;
  readonly #clock: Clock;
  readonly #log: Log;
  #files: TlsFiles | null;
  #reloading: Promise<void> = Promise.resolve();

  /** @throws {Error} if the files cannot be read, or do not belong together */
  constructor({ tlsCert, tlsKey }: Pick<Options, "tlsCert" | "tlsKey">, clock: Clock, log: Log) {
    const hasTls = tlsCert !== undefined && tlsKey !== undefined;
    this.#paths = hasTls ? { cert: tlsCert, key: tlsKey } : null;
    this.#clock = clock;
    this.#log = log;
    this.#files = this.#paths && readPair(this.#paths, Deno.readTextFileSync);
    if (hasTls) this.#warnDaily();
  }

  /** Null if the server speaks no TLS. */
  get files(): TlsFiles | null {
    return this.#files;
  }

  /** Reads the files again, and listens with them. If they are wrong, that is logged, and the old ones stay. */
  reload(server: Reloadable | null): void {
    this.#reloading = this.#reloading.then(() => this.#reload(server));
  }

  async #reload(server: Reloadable | null): Promise<void> {
    if (this.#paths === null || server === null) {
      return this.#log.write("info", "SIGHUP: there is no certificate to be read again.");
    }
    try {
      const files = readPair(this.#paths, Deno.readTextFileSync);
      Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...files }).close(); // only the runtime can check this
      await server.reload(files);
      this.#files = files;
      this.#log.write("info", "SIGHUP: listening with the certificate as it is now.");
      this.#warnOfExpiry();
    } catch (error) {
      const message = `SIGHUP: the old certificate stays: ${messageOf(error)}`;
      this.#log.write("error", asSentence(message));
    }
  }

  #warnDaily(): void {
    this.#warnOfExpiry();
    this.#clock.after(DAY_MS, () => this.#warnDaily());
  }

  #warnOfExpiry(): void {
    const warning = this.#files && expiryWarning(this.#files.cert, Date.now());
    if (warning !== null) this.#log.write("warn", warning);
  }
}
