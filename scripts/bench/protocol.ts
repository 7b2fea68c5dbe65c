/** The protocols of a benchmark's clients: signalbox's, PeerJS' and y-webrtc's. */

import { addressed, type Message } from "./messages.ts";

export interface Protocol {
  /** Returns path and query of the upgrade request. */
  target(clientId: string): string;
  /** Returns the first messages; none if the URL registers. */
  registration(clientId: string, more: Readonly<Record<string, unknown>>): readonly string[];
  /** Returns whether the server's first message says that the client is registered. */
  isRegistered(answer: Readonly<Record<string, unknown>>, clientId: string): boolean;
  /** Returns the text that a client sends. */
  addressed(message: Message, targetId: string): string;
  /** Returns the message that the target gets, parsed. */
  received(message: Message, senderId: string, targetId: string): Message;
}

export const SIGNALBOX: Protocol = {
  target: () => "/",
  registration: (clientId, more) => [
    JSON.stringify({ type: "register", client_id: clientId, ...more }),
  ],
  isRegistered: ({ type, client_id }, clientId) => type === "registered" && client_id === clientId,
  addressed,
  received: (message, from) => ({ ...message, from }),
};

export const PEERJS: Protocol = {
  target: (clientId) => `/peerjs?key=peerjs&id=${clientId}&token=abcdefghij&version=1.5.5`,
  registration: () => [],
  isRegistered: ({ type }) => type === "OPEN",
  addressed: (message, dst) => JSON.stringify({ ...inPeerJs(message), dst }),
  received: (message, src, dst) => ({ ...inPeerJs(message), src, dst }),
};

/** Each client has a topic to itself, so that a message has one receiver. */
export const Y_WEBRTC: Protocol = {
  target: () => "/",
  registration: (clientId) => [
    JSON.stringify({ type: "subscribe", topics: [clientId] }),
    JSON.stringify({ type: "ping" }),
  ],
  isRegistered: ({ type }) => type === "pong",
  addressed: (data, topic) => JSON.stringify({ type: "publish", topic, data }),
  received: (data, _, topic) => ({ type: "publish", topic, data, clients: 1 }),
};

function inPeerJs({ type, ...payload }: Message): Message {
  return { type: String(type).toUpperCase(), payload };
}
