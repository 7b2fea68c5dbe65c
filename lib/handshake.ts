/** Decides whether an HTTP request can become a WebSocket (RFC 6455 section 4.2.1): the runtime checks only part of it. */

const WEBSOCKET_VERSION = "13";
/** 16 bytes in base64. */
const KEY = /^[A-Za-z0-9+/]{22}==$/;

/** A refused upgrade, as HTTP says it. */
export interface Refusal {
  readonly status: 400 | 403 | 426 | 429 | 503;
  readonly message: string;
}

/** Whether a request wants to become a WebSocket at all. */
export function wantsWebSocket(headers: Headers): boolean {
  return hasToken(headers.get("upgrade"), "websocket");
}

/** What is wrong with the request for an upgrade; null where nothing is. */
export function checkHandshake(method: string, headers: Headers): Refusal | null {
  if (method !== "GET") {
    return { status: 400, message: `A WebSocket is opened with GET, not ${method}.` };
  }
  if (!hasToken(headers.get("connection"), "upgrade")) {
    return { status: 400, message: "The header Connection: Upgrade is missing." };
  }
  const key = headers.get("sec-websocket-key");
  if (key === null || !KEY.test(key)) {
    return { status: 400, message: "Sec-WebSocket-Key must be 16 bytes in base64." };
  }
  const version = headers.get("sec-websocket-version");
  if (version !== WEBSOCKET_VERSION) {
    return { status: 426, message: `Sec-WebSocket-Version must be ${WEBSOCKET_VERSION}.` };
  }
  return null;
}

/** The answer to a refused upgrade. */
export function refuse({ status, message }: Refusal): Response {
  const headers = new Headers({ "content-type": "text/plain; charset=utf-8" });
  if (status === 426) {
    headers.set("upgrade", "websocket");
    headers.set("sec-websocket-version", WEBSOCKET_VERSION);
  }
  if (status === 503) headers.set("retry-after", String(RETRY_AFTER_SECONDS));
  return new Response(`${message}\n`, { status, headers });
}

const RETRY_AFTER_SECONDS = 5;

/** The token of an upgrade request: an `Authorization: Bearer` header or a `token` parameter; null where neither is there. */
export function bearerToken(headers: Headers, url: string): string | null {
  const [, token] = /^bearer +(\S+) *$/i.exec(headers.get("authorization") ?? "") ?? [];
  return token ?? URL.parse(url)?.searchParams.get("token") ?? null;
}

/** Whether a comma-separated header has `token`, in whatever case. */
function hasToken(header: string | null, token: string): boolean {
  return header?.split(",").some((part) => part.trim().toLowerCase() === token) ?? false;
}
