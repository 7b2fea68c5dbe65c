/** Checks and makes the tokens that clients register with. */

import type * as Jose from "jose";
import { createKeySet, type KeySetOptions, KeySetUnavailable } from "./key_set.ts";

/** The rights that a token gives. */
export interface Grant {
  /** The one ID that it allows; null for any. */
  readonly clientId: string | null;
  /** The rooms that it allows; null for any, and the default room. */
  readonly rooms: readonly string[] | null;
}

/** A missing or invalid token. The message is a sentence for the client. */
export class TokenError extends Error {}

export interface Authenticator {
  /**
   * Checks a token.
   *
   * @param isWanted returns false once the client has disconnected: then no signature is verified
   * @throws {TokenError}
   */
  check(token: string | null, isWanted?: () => boolean): Promise<Grant>;
}

type Key = Awaited<ReturnType<Jose.JWTVerifyGetKey>>;

/**
 * Upper bounds of a token and of its header, in characters. The header is parsed before the signature is verified, and
 * hostile JSON of 50 KiB takes 20 ms. A head of HTTP could have a token of 64 KiB.
 */
const MAX_TOKEN_CHARS = 16 * 1024;
const MAX_HEADER_CHARS = 4 * 1024;
/** Tolerated difference between the clocks of two machines. */
const CLOCK_TOLERANCE_SECONDS = 5;
/** The algorithms of each kind of key. A token cannot choose another. */
const SECRET_ALGORITHMS = ["HS256"];
const KEY_SET_ALGORITHMS = ["RS256", "ES256", "EdDSA", "Ed25519"];

/**
 * Makes an authenticator for tokens signed with a shared secret, with a key of a key set (RFC 7517), or either.
 *
 * @param secrets all of them are accepted
 */
export async function createAuthenticator(
  secrets: readonly string[],
  keySetOptions: KeySetOptions | undefined,
): Promise<Authenticator> {
  const jose = await import("jose"); // only here: a server without tokens starts faster
  const secretKeys = secrets.map((secret) => new TextEncoder().encode(secret));
  const findKey = keySetOptions === undefined ? null : createKeySet(jose, keySetOptions);

  let lastVerification: Promise<unknown> = Promise.resolve();

  async function verify(token: string, isWanted: () => boolean): Promise<Jose.JWTVerifyResult> {
    const header = jose.decodeProtectedHeader(token);
    const { alg = "" } = header;
    if (secrets.length > 0 && (findKey === null || SECRET_ALGORITHMS.includes(alg))) {
      return await inTurn(isWanted, () => verifyWithAny(token, secretKeys, SECRET_ALGORITHMS));
    }
    if (!KEY_SET_ALGORITHMS.includes(alg)) throw new jose.errors.JOSEAlgNotAllowed();
    const keys = await findKeys({ ...header, alg });
    return await inTurn(isWanted, () => verifyWithAny(token, keys, KEY_SET_ALGORITHMS));
  }

  async function findKeys(header: Jose.JWTHeaderParameters) {
    try {
      return [await findKey!(header, { payload: "", signature: "" })];
    } catch (error) {
      // The token names no key (kid), and the set has several of its kind.
      if (error instanceof jose.errors.JWKSMultipleMatchingKeys) return error;
      throw error;
    }
  }

  /**
   * Runs one verification at a time: each may take the only thread 2 ms, and messages are relayed in between. Those of
   * clients that have disconnected are left out, or clients that come and go would make all others wait.
   */
  function inTurn<Result>(isWanted: () => boolean, verification: () => Promise<Result>) {
    const result = lastVerification.then(() => {
      if (!isWanted()) throw new TokenError("The client has disconnected.");
      return verification();
    });
    lastVerification = result.catch(() => {}); // the caller handles the error
    return result;
  }

  async function verifyWithAny(
    token: string,
    keys: Iterable<Key> | AsyncIterable<Key>,
    algorithms: string[],
  ): Promise<Jose.JWTVerifyResult> {
    const options = { clockTolerance: CLOCK_TOLERANCE_SECONDS, algorithms };
    for await (const key of keys) {
      try {
        return await jose.jwtVerify(token, key, options);
      } catch (error) {
        if (!(error instanceof jose.errors.JWSSignatureVerificationFailed)) throw error;
      }
    }
    throw new jose.errors.JWSSignatureVerificationFailed();
  }

  return {
    async check(token, isWanted = () => true) {
      if (token === null) throw new TokenError("A token is needed to register.");
      checkLength(token);
      try {
        return readGrant((await verify(token, isWanted)).payload);
      } catch (error) {
        throw error instanceof TokenError ? error : new TokenError(explain(error, jose));
      }
    },
  };
}

function explain(error: unknown, { errors }: typeof Jose): string {
  if (error instanceof errors.JWTExpired) return "The token has expired.";
  if (error instanceof errors.JWTClaimValidationFailed) {
    return `The token's ${error.claim} does not hold.`;
  }
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return "The token is not signed with an algorithm that is allowed here.";
  }
  if (error instanceof errors.JWKSNoMatchingKey) return "The token's key is not known.";
  if (error instanceof KeySetUnavailable) return "The token's key could not be fetched.";
  return "The token is malformed or badly signed.";
}

function checkLength(token: string): void {
  if (token.length > MAX_TOKEN_CHARS) {
    throw new TokenError(`The token has more than ${MAX_TOKEN_CHARS} characters.`);
  }
  if (token.indexOf(".") > MAX_HEADER_CHARS) {
    throw new TokenError(`The token's header has more than ${MAX_HEADER_CHARS} characters.`);
  }
}

function readGrant({ sub, room }: Jose.JWTPayload): Grant {
  if (sub !== undefined && typeof sub !== "string") {
    throw new TokenError("The token's sub must be a string.");
  }
  const rooms = typeof room === "string" ? [room] : room;
  if (rooms !== undefined && !isStringArray(rooms)) {
    throw new TokenError("The token's room must be a string or an array of strings.");
  }
  return { clientId: sub ?? null, rooms: rooms ?? null };
}

function isStringArray(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

/** Returns whether a grant covers an ID and a room; one that names rooms does not cover the default room (`""`). */
export function allows({ clientId, rooms }: Grant, id: string, room: string): boolean {
  const isRoomAllowed = rooms === null || (room !== "" && rooms.includes(room));
  return isRoomAllowed && (clientId === null || clientId === id);
}

/** The claims of a new token, and the secret that signs it. */
export interface TokenRequest {
  readonly secret: string;
  readonly clientId: string;
  /** Undefined for any room, and the default room. */
  readonly room: string | undefined;
  readonly ttlMs: number;
}

/** Makes a token signed with a shared secret (HS256), as {@link createAuthenticator} accepts it. */
export async function signToken(request: TokenRequest): Promise<string> {
  const { secret, clientId, room, ttlMs } = request;
  const { SignJWT } = await import("jose");
  const nowSeconds = Math.floor(Date.now() / 1000);
  return await new SignJWT(room === undefined ? {} : { room })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setSubject(clientId)
    .setIssuedAt(nowSeconds)
    .setExpirationTime(nowSeconds + Math.ceil(ttlMs / 1000))
    .sign(new TextEncoder().encode(secret));
}
