/** What happens in the server, for those who count it or write it down. */

import type { ErrorCode } from "./protocol.ts";

/** A registered client, as far as an observer may know it. */
export interface ClientInfo {
  readonly id: string;
  /** Where it comes from: an IP address. */
  readonly address: string;
}

/** A frame that was forwarded. Its text is for counting, never for writing down. */
export interface Forwarded {
  readonly text: string;
  /** Its `type` as the sender gave it: any JSON value. */
  readonly type: unknown;
}

export interface Events {
  connected(address: string): void;
  /** `code` is that of the close frame which ended it, 0 where none did. */
  disconnected(address: string, code: number): void;
  registered(client: ClientInfo): void;
  unregistered(client: ClientInfo): void;
  sent(from: ClientInfo, targetId: string, message: Forwarded): void;
  broadcast(from: ClientInfo, recipients: number, message: Forwarded): void;
  /** An error frame was sent. */
  failed(code: ErrorCode, address: string, clientId?: string): void;
  /** The runtime's listener ended; the server goes on trying to listen again. */
  listenerFailed(error: unknown): void;
  /** Something threw that must not: a mistake in the server. */
  crashed(where: string, error: unknown): void;
}
