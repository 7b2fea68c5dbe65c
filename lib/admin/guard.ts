/** Guards the admin listener: checks the password, and refuses requests that other pages make in the operator's browser. */

import { Buffer } from "node:buffer";
import { isIP } from "node:net";
import type { Clock } from "../clock.ts";
import type { Emit } from "../events.ts";
import { isSecret } from "../relay/session.ts";

/** The delay of the response to a wrong password, in milliseconds. */
const WRONG_PASSWORD_DELAY_MS = 500;
/** Upper bound of the responses that are delayed at a time. */
const MAX_WAITING = 10;
/** Interval of warnings about wrong passwords, in milliseconds. */
const WARNING_INTERVAL_MS = 1000;

export interface GuardOptions {
  /** The configured name or address of the listener. */
  readonly hostname: string;
  /** Undefined if none is needed. */
  readonly password: string | undefined;
}

export class Guard {
  readonly #options: GuardOptions;
  readonly #clock: Clock;
  readonly #emit: Emit;
  /** The number of delayed responses. */
  #waiting = 0;
  #warnedAtMs = -Infinity;

  constructor(options: GuardOptions, clock: Clock, emit: Emit) {
    this.#options = options;
    this.#clock = clock;
    this.#emit = emit;
  }

  /**
   * Returns the response to a refused request; null for an allowed one.
   *
   * @param url the request's URL
   * @param peer the IP address that the request comes from
   */
  async check(request: Request, url: URL, peer: string): Promise<Response | null> {
    const { hostname, password } = this.#options;
    if (password !== undefined) {
      // Against DNS rebinding the password is enough: the browser does not send it for another name.
      const refusal = await this.#checkPassword(request, password, peer);
      if (refusal !== null) return refusal;
    } else if (!isOwnHost(url.hostname, hostname)) {
      const message = "This is no name of the admin listener: use its IP address, or localhost.\n";
      return new Response(message, { status: 421 });
    }
    return isOwnOrigin(request.headers.get("origin"), url) || isRead(request)
      ? null
      : forbidChange();
  }

  async #checkPassword(
    { headers }: Request,
    password: string,
    peer: string,
  ): Promise<Response | null> {
    const authorization = headers.get("authorization");
    if (authorization === null) return askPassword();
    if (hasPassword(authorization, password)) return null;
    this.#warn(peer);
    if (this.#waiting >= MAX_WAITING) return tooManyGuesses();
    this.#waiting++;
    await new Promise<void>((resolve) => this.#clock.after(WRONG_PASSWORD_DELAY_MS, resolve));
    this.#waiting--;
    return askPassword();
  }

  #warn(peer: string): void {
    const nowMs = this.#clock.now();
    if (nowMs - this.#warnedAtMs < WARNING_INTERVAL_MS) return;
    this.#warnedAtMs = nowMs;
    this.#emit({ kind: "warning", message: `Wrong admin password from ${peer}.` });
  }
}

function hasPassword(authorization: string, password: string): boolean {
  const [, credentials] = /^basic +([A-Za-z0-9+/=]+) *$/i.exec(authorization) ?? [];
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

function tooManyGuesses(): Response {
  return new Response("Too many wrong passwords: wait a second.\n", { status: 429 });
}

/** Returns whether a request names this host. Addresses and localhost cannot be rebound to it, unlike other names. */
function isOwnHost(asked: string, configured: string): boolean {
  return isIP(asked.replace(/^\[(.*)\]$/, "$1")) !== 0 || asked === "localhost" ||
    asked === configured.toLowerCase();
}

function isRead({ method }: Request): boolean {
  return method === "GET" || method === "HEAD";
}

/** Returns whether a request comes from the listener's own page or from no browser. Browsers send an Origin with each change. */
function isOwnOrigin(origin: string | null, url: URL): boolean {
  return origin === null || URL.parse(origin)?.host === url.host; // a proxy may have taken TLS off
}

function forbidChange(): Response {
  return new Response("A change may not come from another page.\n", { status: 403 });
}
