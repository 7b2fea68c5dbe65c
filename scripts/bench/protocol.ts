/** What clients of a benchmark speak: the protocol of signalbox, or that of PeerJS. */

import { addressed, type Message } from "./messages.ts";

export interface Protocol {
  /** Returns path and query of the upgrade request. */
  target(clientId: string): string;
  /** Returns the first message; null if the URL registers. */
  registration(clientId: string, more: Readonly<Record<string, unknown>>): string | null;
  /** Returns whether the server's first message says that the client is registered. */
  isRegistered(answer: Readonly<Record<string, unknown>>, clientId: string): boolean;
  /** Returns the text that a client sends. */
  addressed(message: Message, targetId: string): string;
  /** Returns what the target gets, parsed. */
  received(message: Message, senderId: string, targetId: string): Message;
}

export const SIGNALBOX: Protocol = {
  target: () => "/",
  registration: (clientId, more) =>
    JSON.stringify({ type: "register", client_id: clientId, ...more }),
  isRegistered: ({ type, client_id }, clientId) => type === "registered" && client_id === clientId,
  addressed,
  received: (message, from) => ({ ...message, from }),
};

export const PEERJS: Protocol = {
  target: (clientId) => `/peerjs?key=peerjs&id=${clientId}&token=abcdefghij&version=1.5.5`,
  registration: () => null,
  isRegistered: ({ type }) => type === "OPEN",
  addressed: (message, dst) => JSON.stringify({ ...inPeerJs(message), dst }),
  received: (message, src, dst) => ({ ...inPeerJs(message), src, dst }),
};

function inPeerJs({ type, ...payload }: Message): Message {
  return { type: String(type).toUpperCase(), payload };
}
