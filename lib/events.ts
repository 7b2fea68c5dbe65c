/** What happens in the server, for those who count it or write it down. */

import type { CloseReason, ErrorCode } from "./relay/vocabulary.ts";

/** A registered client, as far as an observer may know it. */
export interface ClientInfo {
  readonly id: string;
  /** `""` for the default room. */
  readonly roomName: string;
  /** Where it comes from: an IP address. */
  readonly address: string;
}

/** Who an event is about: a client, or a connection that has not registered. */
export type Subject = ClientInfo | { readonly address: string };

/** A frame that was forwarded or kept. */
export interface Message {
  /** Its `type`; undefined where that is no string. */
  readonly type: string | undefined;
  /** Its size as it came, in UTF-8. */
  readonly bytes: number;
  /** When it came in, in milliseconds of the server's clock. */
  readonly receivedAtMs: number;
}

export interface Events {
  connected(address: string): void;
  /**
   * A connection has ended.
   *
   * @param code of the close frame which ended it, 0 where none did
   * @param reason why the server closed it; null where it did not
   */
  disconnected(address: string, code: number, reason: CloseReason | null): void;
  registered(client: ClientInfo): void;
  /** A client's connection was lost, and its ID is held for a resume. */
  held(client: ClientInfo): void;
  unregistered(client: ClientInfo): void;
  sent(from: ClientInfo, targetId: string, message: Message): void;
  /** A message waits in the mailbox for a client that is not connected. */
  kept(from: ClientInfo, targetId: string, message: Message): void;
  /** A message that was kept for a client has been sent to it. */
  keptDelivered(client: ClientInfo): void;
  broadcast(from: ClientInfo, recipients: number, message: Message): void;
  /** An error frame was sent. */
  failed(code: ErrorCode, subject: Subject): void;
  /** The server closes a connection. */
  closing(reason: CloseReason, subject: Subject): void;
  /** This node is one of its cluster, or is again. */
  clusterJoined(): void;
  /** The cluster's engine cannot be reached, and why, in words; it is tried again until it can. */
  clusterLost(reason: string): void;
  /** The runtime's listener ended; the server goes on trying to listen again. */
  listenerFailed(error: unknown): void;
  /** Something threw that must not: a mistake in the server. */
  crashed(where: string, error: unknown): void;
}

/** Tells two observers of everything, one after the other. */
export function tellBoth(first: Events, second: Events): Events {
  return {
    connected(address) {
      first.connected(address);
      second.connected(address);
    },
    disconnected(address, code, reason) {
      first.disconnected(address, code, reason);
      second.disconnected(address, code, reason);
    },
    registered(client) {
      first.registered(client);
      second.registered(client);
    },
    held(client) {
      first.held(client);
      second.held(client);
    },
    unregistered(client) {
      first.unregistered(client);
      second.unregistered(client);
    },
    sent(from, targetId, message) {
      first.sent(from, targetId, message);
      second.sent(from, targetId, message);
    },
    kept(from, targetId, message) {
      first.kept(from, targetId, message);
      second.kept(from, targetId, message);
    },
    keptDelivered(client) {
      first.keptDelivered(client);
      second.keptDelivered(client);
    },
    broadcast(from, recipients, message) {
      first.broadcast(from, recipients, message);
      second.broadcast(from, recipients, message);
    },
    failed(code, subject) {
      first.failed(code, subject);
      second.failed(code, subject);
    },
    closing(reason, subject) {
      first.closing(reason, subject);
      second.closing(reason, subject);
    },
    clusterJoined() {
      first.clusterJoined();
      second.clusterJoined();
    },
    clusterLost(error) {
      first.clusterLost(error);
      second.clusterLost(error);
    },
    listenerFailed(error) {
      first.listenerFailed(error);
      second.listenerFailed(error);
    },
    crashed(where, error) {
      first.crashed(where, error);
      second.crashed(where, error);
    },
  };
}
