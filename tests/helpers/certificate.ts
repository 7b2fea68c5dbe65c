/** A certificate for tests: made by openssl, which no client trusts. */

import { hasCommand, isMissing } from "./tools.ts";

/** True if openssl is missing; then it says so. */
export function isMissingOpenssl(): boolean {
  return isMissing(hasCommand("openssl"), "openssl (Debian: openssl)");
}

/** Runs openssl; resolves with what it has written. */
export async function openssl(args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("openssl", { args: [...args] })
    .output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

export class Certificate implements Disposable {
  readonly #folder = Deno.makeTempDirSync();
  /** PEM files. */
  readonly certPath = `${this.#folder}/cert.pem`;
  readonly keyPath = `${this.#folder}/key.pem`;

  /** Makes one for `localhost` and 127.0.0.1. */
  static make(days = 30): Promise<Certificate> {
    return Certificate.#make(days, "CA:FALSE"); // or it could not serve itself
  }

  static async #make(days: number, constraint: "CA:FALSE" | "CA:TRUE"): Promise<Certificate> {
    const certificate = new Certificate();
    try {
      await openssl(certificate.#opensslArguments(days, constraint));
      return certificate;
    } catch (error) {
      certificate[Symbol.dispose]();
      throw error;
    }
  }

  /** Makes one that expired yesterday. */
  static async makeExpired(): Promise<Certificate> {
    const certificate = await Certificate.make();
    const { certPath, keyPath } = certificate;
    await openssl(["x509", "-in", certPath, "-signkey", keyPath, "-days", "-1", "-out", certPath]);
    return certificate;
  }

  /** Makes one that an authority has, and that signs itself. */
  static makeAuthority(): Promise<Certificate> {
    return Certificate.#make(30, "CA:TRUE");
  }

  #opensslArguments(days: number, constraint: string): string[] {
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"];
    const names = [
      "-subj",
      "/CN=localhost",
      "-addext",
      "subjectAltName=DNS:localhost,IP:127.0.0.1",
    ];
    const kind = ["-addext", `basicConstraints=critical,${constraint}`];
    const files = ["-keyout", this.keyPath, "-out", this.certPath];
    return ["req", "-x509", "-days", `${days}`, ...key, ...names, ...kind, ...files];
  }

  /** The certificate that a client has to trust, PEM. */
  get pem(): string {
    return Deno.readTextFileSync(this.certPath);
  }

  /** PEM. */
  get key(): string {
    return Deno.readTextFileSync(this.keyPath);
  }

  /** Puts another pair in its place, as a renewal does. */
  renew(other: Certificate): void {
    Deno.writeTextFileSync(this.certPath, other.pem);
    Deno.writeTextFileSync(this.keyPath, other.key);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#folder, { recursive: true });
  }
}
