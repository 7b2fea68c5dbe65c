/** Malformed requests and upgrades, and the status of each response. */

import { concat } from "../helpers/frames.ts";
import { UPGRADE_HEADERS, upgradeRequest } from "../helpers/raw_peer.ts";

interface BrokenHandshake {
  readonly what: string;
  readonly bytes: Uint8Array;
  /** The beginning of the status; `""` if the server ends the connection without a response. */
  readonly status: string;
}

const BAD_REQUEST = "400";

const UPGRADE_REQUIRED = "426";

/** An upgrade with some headers as they should not be; undefined: not there. */
function upgradeWith(
  changed: Readonly<Record<string, string | undefined>>,
  requestLine = "GET /nothing/here HTTP/1.1",
): Uint8Array {
  const headers = Object.entries({ ...UPGRADE_HEADERS, ...changed });
  const present = headers.filter((header): header is [string, string] => header[1] !== undefined);
  return latin1(upgradeRequest(Object.fromEntries(present), requestLine));
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

const MANY_HEADERS = Object.fromEntries(
  Array.from({ length: 200 }, (_, n) => [`x-header-${n}`, "value"]),
);

export const BROKEN_HANDSHAKES: readonly BrokenHandshake[] = [
  { what: "no Upgrade", bytes: upgradeWith({ upgrade: undefined }), status: UPGRADE_REQUIRED },
  { what: "another Upgrade", bytes: upgradeWith({ upgrade: "h2c" }), status: UPGRADE_REQUIRED },
  {
    what: "an Upgrade with a no-break space",
    bytes: upgradeWith({ upgrade: "\xa0websocket" }),
    status: UPGRADE_REQUIRED,
  },
  {
    what: "an Upgrade of blanks",
    bytes: upgradeWith({ upgrade: `websocket${" \t".repeat(20_000)}x` }),
    status: UPGRADE_REQUIRED,
  },
  { what: "no Connection", bytes: upgradeWith({ connection: undefined }), status: BAD_REQUEST },
  { what: "keep-alive", bytes: upgradeWith({ connection: "keep-alive" }), status: BAD_REQUEST },
  {
    what: "a Connection with a no-break space",
    bytes: upgradeWith({ connection: "Upgrade\xa0" }),
    status: BAD_REQUEST,
  },
  { what: "no key", bytes: upgradeWith({ "sec-websocket-key": undefined }), status: BAD_REQUEST },
  { what: "a short key", bytes: upgradeWith({ "sec-websocket-key": "AAAA" }), status: BAD_REQUEST },
  {
    what: "a key of other characters",
    bytes: upgradeWith({ "sec-websocket-key": "\xff".repeat(22) + "==" }),
    status: BAD_REQUEST,
  },
  {
    what: "no version",
    bytes: upgradeWith({ "sec-websocket-version": undefined }),
    status: UPGRADE_REQUIRED,
  },
  {
    what: "version 8",
    bytes: upgradeWith({ "sec-websocket-version": "8" }),
    status: UPGRADE_REQUIRED,
  },
  {
    what: "two versions",
    bytes: upgradeWith({ "sec-websocket-version": "13, 13" }),
    status: UPGRADE_REQUIRED,
  },
  { what: "HEAD", bytes: upgradeWith({}, "HEAD / HTTP/1.1"), status: BAD_REQUEST },
  { what: "POST", bytes: upgradeWith({}, "POST / HTTP/1.1"), status: BAD_REQUEST },
  { what: "CONNECT", bytes: upgradeWith({}, "CONNECT a:1 HTTP/1.1"), status: BAD_REQUEST },
  { what: "HTTP/3.0", bytes: upgradeWith({}, "GET / HTTP/3.0"), status: BAD_REQUEST },
  { what: "no path", bytes: upgradeWith({}, "GET"), status: BAD_REQUEST },
  {
    what: "a path of control bytes",
    bytes: upgradeWith({}, "GET /\x01 HTTP/1.1"),
    status: BAD_REQUEST,
  },
  {
    what: "a header without a colon",
    bytes: latin1("GET / HTTP/1.1\r\nhost\r\n\r\n"),
    status: BAD_REQUEST,
  },
  {
    what: "two lengths",
    bytes: latin1("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\n"),
    status: BAD_REQUEST,
  },
  {
    what: "a length that is none",
    bytes: latin1("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n"),
    status: BAD_REQUEST,
  },
  { what: "a head of 200 headers", bytes: upgradeWith(MANY_HEADERS), status: "4" }, // 400 or 431
  {
    what: "a TLS ClientHello",
    bytes: latin1("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    status: BAD_REQUEST,
  },
  { what: "zeros", bytes: new Uint8Array(64), status: BAD_REQUEST },
  { what: "SSH", bytes: latin1("SSH-2.0-OpenSSH_9.2\r\n"), status: BAD_REQUEST },
  { what: "SMTP", bytes: latin1("EHLO example.org\r\n\r\n"), status: BAD_REQUEST },
  { what: "SIP", bytes: latin1("INVITE sip:bob@example.org SIP/2.0\r\n\r\n"), status: BAD_REQUEST },
  {
    what: "HTTP/2 and then garbage",
    bytes: concat("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", new Uint8Array(64).fill(0xff)),
    status: "",
  },
  { what: "a frame without a handshake", bytes: latin1("\x81\x82\0\0\0\0{}"), status: BAD_REQUEST },
];
