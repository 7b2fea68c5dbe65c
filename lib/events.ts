/** The events of a server, for metrics and the log. */

import type { CloseReason, EndReason, ErrorCode } from "./relay/vocabulary.ts";

/** The facts about a registered client that metrics and the log get. */
export interface ClientInfo {
  readonly id: string;
  /** `""` for the default room. */
  readonly roomName: string;
  /** The IP address of its connection. */
  readonly address: string;
  /** The dialect's name; null for the core protocol. */
  readonly dialect: string | null;
}

/** The client of an event; only its address if it has not registered. */
export type Subject = ClientInfo | { readonly address: string };

/** The facts about a message that metrics and the log get. */
export interface MessageInfo {
  /** Its `type`; undefined if that is not a string. */
  readonly type: string | undefined;
  /** Its size as received, in bytes of UTF-8. */
  readonly bytes: number;
  /** Time of arrival, in milliseconds of the server's clock. */
  readonly receivedAtMs: number;
}

export type Event =
  | { readonly kind: "connection_opened"; readonly address: string }
  | {
    readonly kind: "connection_closed";
    readonly address: string;
    /** The code of the close frame that ended the connection; 0 if there was none. */
    readonly code: number;
    /** Null if the server did not close it. */
    readonly reason: CloseReason | null;
  }
  /** An upgrade was refused with an HTTP status. */
  | {
    readonly kind: "connection_refused";
    readonly address: string;
    readonly status: number;
    readonly message: string;
  }
  /** An error closed a connection before it had registered. */
  | {
    readonly kind: "client_refused";
    readonly address: string;
    readonly code: ErrorCode;
    readonly message: string;
  }
  | { readonly kind: "registered"; readonly client: ClientInfo }
  /** A client is detached: its connection has ended, and its ID is held for a resume. */
  | {
    readonly kind: "detached";
    readonly client: ClientInfo;
    readonly reason: EndReason | null;
  }
  /** A session has ended. The reason is null if the server did not close its connection. */
  | {
    readonly kind: "unregistered";
    readonly client: ClientInfo;
    readonly reason: EndReason | null;
  }
  | {
    readonly kind: "sent";
    readonly from: ClientInfo;
    readonly targetId: string;
    readonly message: MessageInfo;
  }
  /** A message waits in the mailbox for a client that is not connected. */
  | {
    readonly kind: "stored";
    readonly from: ClientInfo;
    readonly targetId: string;
    readonly message: MessageInfo;
  }
  /** A stored message was sent to its target. */
  | { readonly kind: "stored_delivered"; readonly client: ClientInfo }
  | {
    readonly kind: "broadcast";
    readonly from: ClientInfo;
    readonly recipients: number;
    readonly message: MessageInfo;
  }
  | { readonly kind: "error_sent"; readonly code: ErrorCode; readonly subject: Subject }
  /** The server starts to close a connection. */
  | { readonly kind: "closing"; readonly reason: CloseReason; readonly subject: Subject }
  | { readonly kind: "cluster_joined" }
  /** Redis cannot be used; the node retries. The reason is a sentence without a full stop. */
  | { readonly kind: "cluster_lost"; readonly reason: string }
  /** A sentence for the operator. */
  | { readonly kind: "warning"; readonly message: string }
  /** The runtime's listener has ended; the server retries. */
  | { readonly kind: "listener_failed"; readonly error: unknown }
  /** A bug: code threw that must not. */
  | { readonly kind: "internal_error"; readonly where: string; readonly error: unknown };

/** Reports an event. It never throws, and returns before the caller goes on. */
export type Emit = (event: Event) => void;
