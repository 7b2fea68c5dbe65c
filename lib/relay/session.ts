/** A client that may outlive its connection: its ID, its room, and the secret by which it resumes. */

import { Buffer } from "node:buffer";
import { randomBytes, timingSafeEqual } from "node:crypto";
import type { ClientInfo } from "../events.ts";
import type { Notice } from "./vocabulary.ts";

/** The connection of a session, as the relay sees it. */
export interface SessionConnection {
  /** The client's IP address. */
  readonly address: string;
  /** The dialect's name; null for the core protocol. */
  readonly dialect: string | null;
  /** True if messages can still be sent to the client. */
  readonly isOpen: boolean;
  /** Called with its session when the registration has succeeded. */
  attached(session: Session): void;
  /** Sends a text in the connection's own dialect; returns false if the connection takes none any more. */
  send(text: string): boolean;
  /** Sends a notice; returns false likewise. A notice that the dialect cannot express counts as sent. */
  notify(notice: Notice): boolean;
  /** Closes the connection, because a newer one has registered its ID. */
  replaced(): void;
}

/** A namespace of IDs. */
export class Room {
  readonly sessions = new Map<string, Session>();
  constructor(readonly name: string) {}
}

export class Session implements ClientInfo {
  /** Null while the ID is held for a resume. */
  connection: SessionConnection | null = null;
  /** Null if the client did not ask for a resume. */
  secret: string | null = null;
  /** True if it has moved to another node of the cluster. */
  hasMoved = false;
  /** True while older messages for it may still come back from another node: then this node's clients' messages wait. */
  isWaiting = false;
  /** The address of the connection, or of the last one. */
  address = "";
  dialect: string | null = null;
  /** True if its ID is held when the connection is lost. */
  isHoldable = false;
  /** The topics that it may use; null for all. */
  topics: readonly string[] | null = null;
  /** Notices that came while the session was detached. */
  readonly pendingNotices: Notice[] = [];

  constructor(readonly id: string, readonly room: Room) {}

  /** `""` for the default room, and for a dialect's namespace. */
  get roomName(): string {
    return this.dialect === null ? this.room.name : "";
  }
}

const SECRET_BYTES = 24;

/** Makes a resume secret from the system's cryptographic random numbers. */
export function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString("base64url");
}

/** Compares two secrets in a time that does not depend on their content. */
export function isSecret(secret: string, given: string): boolean {
  const expected = Buffer.from(secret);
  const actual = Buffer.from(given);
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}
