/** Tokens for tests: made with a secret or a key, and checked against a key set whose time stands still. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type JWTHeaderParameters, SignJWT } from "jose";
import { type Authenticator, createAuthenticator, TokenError } from "../../lib/auth/tokens.ts";
import { FakeClock } from "./clock.ts";
import type { Claims, KeyHost } from "./key_host.ts";

export const SECRET = "a secret of at least thirty-two bytes";
export const HS256 = { alg: "HS256" };

export const bytesOf = (text: string) => new TextEncoder().encode(text);

/** A part of a token. */
export function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/** A token signed with a shared secret. */
export function sign(claims: Claims, key = bytesOf(SECRET), header: JWTHeaderParameters = HS256) {
  return new SignJWT(claims).setProtectedHeader(header).sign(key);
}

/** An authenticator for the keys of `host`, and for `secret` if it is given. */
export async function withKeys(host: KeyHost, secret?: string, timeoutMs = 60_000) {
  const clock = new FakeClock();
  const failures: string[] = [];
  const failed = Promise.withResolvers<void>();
  const onFailed = ({ message }: Error) => {
    failures.push(message);
    failed.resolve();
  };
  const authenticator = await createAuthenticator(secret === undefined ? [] : [secret], {
    url: host.url,
    clock,
    onFailed,
    timeoutMs,
  });
  return { authenticator, clock, failures, hasFailed: failed.promise };
}

/** Asserts that a token is refused, with a message like this. */
export async function refuses(authenticator: Authenticator, token: string | null, message = /./) {
  await assert.rejects(authenticator.check(token), (error) => {
    assert(error instanceof TokenError);
    assert.match(error.message, message);
    return true;
  });
}
