/**
 * A peer that speaks what libdatachannel's example client speaks, over libdatachannel's own WebSocket and peer connection:
 * `<ws://host:port/> <own ID> [<ID to call>]`. Prints the other's greeting.
 */

import { PeerConnection, WebSocket } from "npm:node-datachannel@0.33.4";

const [url, own, callee] = process.argv.slice(2);
const socket = new WebSocket();
const connections = new Map();

function send(id, message) {
  socket.sendMessage(JSON.stringify({ id, ...message }));
}

function connect(id) {
  const connection = new PeerConnection(own, { iceServers: [], bindAddress: "127.0.0.1" });
  connection.onLocalDescription((description, type) => send(id, { type, description }));
  connection.onLocalCandidate((candidate, mid) => send(id, { type: "candidate", candidate, mid }));
  connection.onDataChannel(greet);
  connections.set(id, connection);
  return connection;
}

function greet(channel) {
  const hello = () => channel.sendMessage(`Hello from ${own}`);
  channel.onOpen(hello);
  channel.onMessage((text) => console.log(text));
  if (channel.isOpen()) hello();
  globalThis.channel = channel; // or it would be collected as garbage
}

socket.onMessage((text) => {
  const { id, type, description, candidate, mid } = JSON.parse(text);
  if (type === "candidate") connections.get(id)?.addRemoteCandidate(candidate, mid);
  else (connections.get(id) ?? connect(id)).setRemoteDescription(description, type);
});
socket.onOpen(() => {
  console.log("connected");
  if (callee !== undefined) greet(connect(callee).createDataChannel("test"));
});
socket.open(url + encodeURIComponent(own));
