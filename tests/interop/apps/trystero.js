/** A Trystero room over its published core and a relay strategy as its README has it, for topics_test.ts. */

import { createTopicStrategy, toJson } from "npm:@trystero-p2p/core@0.25.4";

const joinRoom = createTopicStrategy({
  init: ({ relayConfig: { urls: [url] } }) =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(url);
      socket.onopen = () => resolve(socket);
      socket.onerror = reject;
    }),
  subscribeTopic(socket, topic, onMessage) {
    const listener = ({ data }) => {
      const message = JSON.parse(data);
      if (message.topic === topic) onMessage(topic, message.payload);
    };
    socket.addEventListener("message", listener);
    socket.send(toJson({ type: "subscribe", topic }));
    return () => {
      socket.send(toJson({ type: "unsubscribe", topic }));
      socket.removeEventListener("message", listener);
    };
  },
  publishTopic: (socket, topic, payload) =>
    socket.send(toJson({ type: "publish", topic, payload })),
});

/** Joins a room; resolves with what the first other peer sends. */
globalThis.exchange = (url, own) => {
  const config = { appId: "signalbox-test", relayConfig: { urls: [url] }, rtcConfig: { iceServers: [] } };
  const room = joinRoom(config, "room");
  const action = room.makeAction("word");
  return new Promise((resolve) => {
    action.onMessage = resolve;
    room.onPeerJoin = () => action.send(own);
  });
};
