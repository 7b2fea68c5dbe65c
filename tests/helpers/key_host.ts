/** A host of a key set (JWKS) on loopback, which a test can rotate, break and hold up. */

import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";

export type Claims = Record<string, unknown>;

/** A key pair with its name. */
export interface SigningKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

export async function newKey(alg: string, kid: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg);
  return { kid, alg, privateKey, publicJwk: { ...await exportJWK(publicKey), kid, alg } };
}

/** A token that a key signs. */
export function signWith({ kid, alg, privateKey }: SigningKey, claims: Claims = {}) {
  return new SignJWT(claims).setProtectedHeader({ alg, kid }).sign(privateKey);
}

export class KeyHost implements AsyncDisposable {
  keys: JWK[];
  /** The number of requests for the keys. */
  fetches = 0;
  /** Its response; the keys by default. */
  answer: () => Response | Promise<Response> = () => this.giveKeys();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #onFetch = () => {};

  constructor(keys: readonly SigningKey[], port = 0) {
    this.keys = keys.map(({ publicJwk }) => publicJwk);
    this.#server = Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, () => {
      this.fetches++;
      this.#onFetch();
      return this.answer();
    });
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${this.port}/keys.json`);
  }

  get port(): number {
    return this.#server.addr.port;
  }

  giveKeys(): Response {
    return Response.json({ keys: this.keys });
  }

  /** Resolves when the keys are asked for the next time. */
  asked(): Promise<void> {
    return new Promise((resolve) => this.#onFetch = resolve);
  }

  /** Holds back all answers until the returned function is called. */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<Response>();
    this.answer = () => promise;
    return () => {
      this.answer = () => this.giveKeys();
      resolve(this.giveKeys());
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server.shutdown();
  }
}
