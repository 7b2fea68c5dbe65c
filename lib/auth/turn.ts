/** The ICE servers that clients are given, with TURN credentials that expire. */

import { createHmac } from "node:crypto";

/** What RTCPeerConnection takes (W3C WebRTC, RTCIceServer). */
export interface IceServer {
  readonly urls: readonly string[];
  readonly username?: string;
  readonly credential?: string;
}

export interface IceConfig {
  /** STUN and TURN URLs (RFC 7064, RFC 7065). */
  readonly urls: readonly string[];
  /** Shared with the TURN server. */
  readonly turnSecret: string | undefined;
  readonly turnTtlMs: number;
}

/**
 * The ICE servers for one client. TURN credentials are those of draft-uberti-behave-turn-rest-00: the user name says
 * until when they hold, and the TURN server checks them without knowing the client.
 *
 * @param epochMs the time, in milliseconds since 1970
 */
export function iceServers(config: IceConfig, clientId: string, epochMs: number): IceServer[] {
  const stun = config.urls.filter((url) => !isTurnUrl(url));
  const turn = config.urls.filter(isTurnUrl);
  const servers: IceServer[] = [];
  if (stun.length > 0) servers.push({ urls: stun });
  if (turn.length > 0 && config.turnSecret !== undefined) {
    const username = `${Math.floor((epochMs + config.turnTtlMs) / 1000)}:${clientId}`;
    const credential = createHmac("sha1", config.turnSecret).update(username).digest("base64");
    servers.push({ urls: turn, username, credential });
  }
  return servers;
}

/** Whether a URL is a TURN server's, which wants credentials. */
export function isTurnUrl(url: string): boolean {
  return /^turns?:/.test(url);
}

/**
 * A STUN or TURN URL.
 *
 * @throws {RangeError} that says what it must look like
 */
export function readIceUrl(text: string): string {
  if (/^(stuns?:[^\s?]+|turns?:[^\s?]+(\?transport=(udp|tcp))?)$/.test(text)) return text;
  throw new RangeError(
    "STUN or TURN URLs such as stun:stun.example.org:3478 or turn:turn.example.org?transport=udp",
  );
}
