/** The secrets by which a client takes its ID back. */

import { Buffer } from "node:buffer";
import { randomBytes, timingSafeEqual } from "node:crypto";

const SECRET_BYTES = 24;

/** A new secret, from the system's cryptographic random numbers. */
export function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString("base64url");
}

/** Compares in a time that does not tell how much of `given` is right. */
export function isSecret(secret: string, given: string): boolean {
  const expected = Buffer.from(secret);
  const actual = Buffer.from(given);
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}
