/** Checks of an upgrade to WebSocket (RFC 6455 section 4.2.1): the runtime makes only some of them. */

import { describe } from "../relay/vocabulary.ts";

const WEBSOCKET_VERSION = "13";
/** 16 bytes in base64. */
const KEY = /^[A-Za-z0-9+/]{22}==$/;

// A member of a comma-separated list, in any case. Blanks are HTTP's two alone (RFC 9110 section 5.6.3), as in the
// runtime: String.trim would remove U+00A0 too, and then the runtime would throw.
const WEBSOCKET = /(?:^|,)[ \t]*websocket[ \t]*(?:,|$)/i;
const UPGRADE = /(?:^|,)[ \t]*upgrade[ \t]*(?:,|$)/i;

/** The HTTP status and message of a refused upgrade. */
export interface Refusal {
  readonly status: 400 | 403 | 426 | 429 | 503;
  /** A sentence for the client and the log. */
  readonly message: string;
}

/** An upgrade request. Each header is read once, because that takes the runtime a microsecond. */
export interface Handshake {
  readonly method: string;
  readonly upgrade: string;
  readonly connection: string;
  /** Null if it is missing. */
  readonly key: string | null;
  readonly version: string | null;
  /** The first subprotocol that the client offers; null if it offers none. */
  readonly protocol: string | null;
}

/** Reads an upgrade request; null if it is none. A key alone makes it one, because a proxy may have dropped `Upgrade`. */
export function readHandshake(method: string, headers: Headers): Handshake | null {
  const upgrade = headers.get("upgrade") ?? "";
  const key = headers.get("sec-websocket-key");
  if (key === null && !WEBSOCKET.test(upgrade)) return null;
  return {
    method,
    upgrade,
    connection: headers.get("connection") ?? "",
    key,
    version: headers.get("sec-websocket-version"),
    protocol: firstProtocol(headers.get("sec-websocket-protocol")),
  };
}

/** Returns what is wrong with an upgrade request; null if nothing is. */
export function checkHandshake(handshake: Handshake): Refusal | null {
  const { method, upgrade, connection, key, version } = handshake;
  if (method !== "GET") {
    return { status: 400, message: `A WebSocket is opened with GET, not ${method}.` };
  }
  if (!WEBSOCKET.test(upgrade)) {
    const message = "The header Upgrade: websocket is missing. If a proxy stands before the " +
      "server, it has to pass on Upgrade and Connection.";
    return { status: 426, message };
  }
  if (!UPGRADE.test(connection)) {
    return { status: 400, message: "The header Connection: Upgrade is missing." };
  }
  if (key === null || !KEY.test(key)) {
    return { status: 400, message: "Sec-WebSocket-Key must be 16 bytes in base64." };
  }
  if (version !== WEBSOCKET_VERSION) {
    const given = version === null ? "it is missing" : `not ${describe(version)}`;
    const message = `Sec-WebSocket-Version must be ${WEBSOCKET_VERSION}: ${given}.`;
    return { status: 426, message };
  }
  return null;
}

/** Answers a refused upgrade. */
export function refuse({ status, message }: Refusal): Response {
  const headers = new Headers({
    "connection": "close", // or the client would keep a file descriptor
    "content-type": "text/plain; charset=utf-8",
  });
  if (status === 426) {
    headers.set("upgrade", "websocket");
    headers.set("sec-websocket-version", WEBSOCKET_VERSION);
  }
  if (status === 503) headers.set("retry-after", String(RETRY_AFTER_SECONDS));
  return new Response(`${message}\n`, { status, headers });
}

const RETRY_AFTER_SECONDS = 5;

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

function firstProtocol(offer: string | null): string | null {
  const [first = ""] = offer?.split(",") ?? [];
  const name = first.trim();
  return TOKEN.test(name) ? name : null;
}

/** Returns the token of an upgrade request: of `Authorization: Bearer`, or the parameter `token`; null if there is none. */
export function bearerToken(headers: Headers, url: string): string | null {
  const [, token] = /^bearer +(\S+) *$/i.exec(headers.get("authorization") ?? "") ?? [];
  return token ?? URL.parse(url)?.searchParams.get("token") ?? null;
}
