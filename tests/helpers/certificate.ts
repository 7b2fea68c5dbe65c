/** A certificate for tests: made by openssl, trusted by nobody. */

import { hasCommand, isMissing } from "./tools.ts";

/** Whether none can be made here; says so. */
export function isMissingOpenssl(): boolean {
  return isMissing(hasCommand("openssl"), "openssl (Debian: openssl)");
}

export class Certificate implements Disposable {
  readonly #folder = Deno.makeTempDirSync();
  /** PEM files. */
  readonly certPath = `${this.#folder}/cert.pem`;
  readonly keyPath = `${this.#folder}/key.pem`;

  /** Makes one for `localhost` and 127.0.0.1. */
  static async make(): Promise<Certificate> {
    const certificate = new Certificate();
    const { success, stderr } = await new Deno.Command("openssl", {
      args: certificate.#opensslArguments(),
    }).output();
    if (success) return certificate;
    certificate[Symbol.dispose]();
    throw new Error(new TextDecoder().decode(stderr));
  }

  #opensslArguments(): string[] {
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"];
    const names = [
      "-subj",
      "/CN=localhost",
      "-addext",
      "subjectAltName=DNS:localhost,IP:127.0.0.1",
    ];
    const kind = ["-addext", "basicConstraints=critical,CA:FALSE"]; // or it could not serve itself
    const files = ["-keyout", this.keyPath, "-out", this.certPath];
    return ["req", "-x509", "-days", "2", ...key, ...names, ...kind, ...files];
  }

  /** What a client has to trust, PEM. */
  get pem(): string {
    return Deno.readTextFileSync(this.certPath);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#folder, { recursive: true });
  }
}
