/** The ICE servers of a client, with TURN credentials. */

import { createHmac } from "node:crypto";

/** An RTCIceServer of W3C WebRTC. */
export interface IceServer {
  readonly urls: readonly string[];
  readonly username?: string;
  readonly credential?: string;
}

export interface IceConfig {
  /** STUN and TURN URLs (RFC 7064, RFC 7065). */
  readonly urls: readonly string[];
  /** Shared with the TURN server, for credentials that expire. */
  readonly turnSecret: string | undefined;
  readonly turnTtlMs: number;
  /** Fixed credentials, if there is no secret. */
  readonly turnUsername: string | undefined;
  readonly turnPassword: string | undefined;
}

/**
 * Lists the ICE servers for one client.
 *
 * @param epochMs the time, in milliseconds since 1970
 */
export function iceServers(config: IceConfig, clientId: string, epochMs: number): IceServer[] {
  const stun = config.urls.filter((url) => !isTurnUrl(url));
  const turn = config.urls.filter(isTurnUrl);
  const servers: IceServer[] = [];
  if (stun.length > 0) servers.push({ urls: stun });
  if (turn.length > 0) servers.push({ urls: turn, ...turnCredentials(config, clientId, epochMs) });
  return servers;
}

/**
 * Returns credentials of draft-uberti-behave-turn-rest-00 if there is a secret. The user name contains the time at which they
 * expire, and the TURN server checks them without knowing the client.
 */
function turnCredentials(config: IceConfig, clientId: string, epochMs: number) {
  const { turnSecret, turnTtlMs, turnUsername = "", turnPassword = "" } = config;
  if (turnSecret === undefined) return { username: turnUsername, credential: turnPassword };
  const username = `${Math.floor((epochMs + turnTtlMs) / 1000)}:${clientId}`;
  const credential = createHmac("sha1", turnSecret).update(username).digest("base64");
  return { username, credential };
}

/** Returns whether a URL is a TURN server's, which needs credentials. */
export function isTurnUrl(url: string): boolean {
  return /^turns?:/.test(url);
}
