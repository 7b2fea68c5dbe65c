/** Peers of PeerJS' own client, for peerjs_test.ts. */

import { Peer } from "npm:peerjs@1.5.5";

const peers = new Map();
/** Messages that came, by peer: the test awaits them. */
const reports = [];
let more = Promise.withResolvers();

function report(text) {
  reports.push(text);
  more.resolve();
  more = Promise.withResolvers();
}

/** Resolves once something has come. */
globalThis.untilReported = async (wanted) => {
  while (!reports.includes(wanted)) await more.promise;
  reports.splice(reports.indexOf(wanted), 1);
  return "reported";
};

/** Opens a peer, as an app does; without an ID the server gives one. */
globalThis.openPeer = (url, id, options = {}) => {
  const { hostname, port } = new URL(url);
  const config = { iceServers: [] };
  const given = { host: hostname, port: Number(port), secure: false, config, ...options };
  const peer = id === null ? new Peer(given) : new Peer(id, given);
  const name = id ?? "unnamed";
  peers.set(name, peer);
  peer.on("open", (own) => report(`${name} open ${id === null ? own.length : own}`));
  peer.on("disconnected", () => report(`${name} disconnected`));
  peer.on("error", ({ type }) => report(`${name} error ${type}`));
  peer.on("connection", (connection) => attend(name, connection));
  peer.on("call", async (call) => {
    call.answer(await picture());
    showCall(name, call);
  });
};

function attend(name, connection) {
  connection.on("open", () => report(`${name} linked to ${connection.peer}`));
  connection.on("data", (data) => {
    const text = data instanceof Uint8Array || data instanceof ArrayBuffer
      ? `${data.byteLength} bytes`
      : JSON.stringify(data);
    report(`${name} got ${text}`);
    if (data?.hello) connection.send({ welcome: data.hello });
  });
}

globalThis.link = (name, other) => attend(name, peers.get(name).connect(other));
globalThis.say = (name, data) => {
  for (const connections of Object.values(peers.get(name).connections)) {
    for (const connection of connections) connection.send(data);
  }
};
globalThis.call = async (name, other) => {
  showCall(name, peers.get(name).call(other, await picture()));
};

function picture() {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  let frame = 0;
  setInterval(() => {
    context.fillStyle = frame++ % 2 ? "red" : "blue";
    context.fillRect(0, 0, canvas.width, canvas.height);
  }, 50);
  return canvas.captureStream();
}

/** Reports when a frame of the other's picture is shown. */
function showCall(name, call) {
  call.on("stream", (stream) => {
    const video = document.createElement("video");
    Object.assign(video, { muted: true, autoplay: true, srcObject: stream });
    video.requestVideoFrameCallback(() => report(`${name} sees ${call.peer}`));
    document.body.append(video);
  });
}

globalThis.disconnect = (name) => peers.get(name).disconnect();
globalThis.reconnect = (name) => peers.get(name).reconnect();
globalThis.isOpen = (name) => `${peers.get(name).open}`;
globalThis.listPeers = (name) =>
  new Promise((resolve) => peers.get(name).listAllPeers((ids) => resolve(ids.toSorted().join())));
globalThis.leave = () => peers.forEach((peer) => peer.destroy());
globalThis.isReady = () => "ready";
