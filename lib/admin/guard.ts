/** Who may ask the admin listener: not the pages of others in an operator's browser, and nobody without the password. */

import { Buffer } from "node:buffer";
import { isIP } from "node:net";
import { isSecret } from "../relay/session.ts";

/** The header without which nothing is changed. A form cannot send it, and a page of another origin may not. */
export const CHANGE_HEADER = "x-signalbox-admin";

export interface GuardOptions {
  /** The name or address under which the listener was configured. */
  readonly hostname: string;
  /** Undefined: none is needed. */
  readonly password: string | undefined;
}

/**
 * The answer to a request that may not be served; null for one that may.
 *
 * @param url of the request
 */
export function guard(request: Request, url: URL, options: GuardOptions): Response | null {
  if (options.password !== undefined) {
    // Of a page that has its name rebound to this address (DNS rebinding), a browser sends no password.
    if (!hasPassword(request.headers.get("authorization"), options.password)) return askPassword();
  } else if (!isOwnHost(url.hostname, options.hostname)) {
    const message = "This is no name of the admin listener: use its IP address, or localhost.\n";
    return new Response(message, { status: 421 });
  }
  if (request.method === "GET" || request.method === "HEAD") return null;
  return mayChange(request.headers, url) ? null : forbidChange();
}

function hasPassword(authorization: string | null, password: string): boolean {
  const [, credentials] = /^basic +([A-Za-z0-9+/=]+) *$/i.exec(authorization ?? "") ?? [];
  if (credentials === undefined) return false;
  const userAndPassword = Buffer.from(credentials, "base64").toString();
  const colon = userAndPassword.indexOf(":"); // a user's name has none (RFC 7617 section 2)
  return colon >= 0 && isSecret(password, userAndPassword.slice(colon + 1));
}

function askPassword(): Response {
  const headers = { "www-authenticate": 'Basic realm="signalbox admin", charset="UTF-8"' };
  return new Response("The admin password is needed, with any user name.\n", {
    status: 401,
    headers,
  });
}

/** A page whose name is rebound to this address asks under that name: addresses and localhost cannot be rebound. */
function isOwnHost(asked: string, configured: string): boolean {
  return isIP(asked.replace(/^\[(.*)\]$/, "$1")) !== 0 || asked === "localhost" ||
    asked === configured.toLowerCase();
}

function mayChange(headers: Headers, url: URL): boolean {
  const origin = headers.get("origin");
  return headers.has(CHANGE_HEADER) && (origin === null || URL.parse(origin)?.host === url.host);
}

function forbidChange(): Response {
  const message =
    `A change needs the header ${CHANGE_HEADER}, and may not come from other pages.\n`;
  return new Response(message, { status: 403 });
}
