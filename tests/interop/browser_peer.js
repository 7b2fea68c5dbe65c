/**
 * A peer in the browser, with nothing but the browser's own interfaces. It answers every offer; with a target in its
 * address it calls that one, with a data channel and a moving picture. What happens is listed on the page.
 *
 *     browser_peer.html?client_id=browser_001[&target_id=receiver_001][&server=ws://localhost:8765]
 */

"use strict";

function main() {
  const query = new URLSearchParams(location.search);
  const clientId = query.get("client_id") ?? "browser_001";
  const targetId = query.get("target_id");
  const peers = new Map();

  const socket = new WebSocket(query.get("server") ?? "ws://localhost:8765");
  const send = (targetId, message) =>
    socket.send(JSON.stringify({ ...message, target_id: targetId }));
  socket.onopen = () => socket.send(JSON.stringify({ type: "register", client_id: clientId }));
  socket.onclose = ({ code }) => say(`the connection to the server is lost: ${code}`);
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if ("from" in message) return receive(message);
    // Without `from` it is the server itself that speaks.
    if (message.type === "error") return say(`error: ${message.message}`);
    say(`registered: ${clientId}`);
    if (targetId !== null) call();
  };

  function newPeer(id) {
    peers.get(id)?.close();
    const pc = new RTCPeerConnection();
    peers.set(id, pc);
    pc.onconnectionstatechange = () => say(pc.connectionState);
    pc.onicecandidate = ({ candidate }) => {
      if (!candidate?.candidate) return; // there are no more
      const { sdpMid, sdpMLineIndex } = candidate;
      send(id, { type: "candidate", candidate: candidate.candidate, sdpMid, sdpMLineIndex });
    };
    return pc;
  }

  async function call() {
    const pc = newPeer(targetId);
    greet(pc.createDataChannel("chat"), clientId);
    pc.addTrack(movingPicture());
    await pc.setLocalDescription();
    send(targetId, describe(pc));
  }

  // Nothing needs to wait in here: the peer connection itself does one thing after the other.
  function receive(message) {
    const { from, type } = message;
    if (type === "offer") answer(from, message);
    else if (type === "answer") peers.get(from)?.setRemoteDescription({ type, sdp: message.sdp });
    else if (type === "candidate") peers.get(from)?.addIceCandidate(message);
    else say(`ignored: ${type} from ${from}`);
  }

  /** An offer starts anew: the sender may have been restarted, and know nothing of an earlier connection. */
  async function answer(from, { sdp }) {
    say(`offer from ${from}`);
    const pc = newPeer(from);
    pc.ontrack = ({ track }) => show(track);
    pc.ondatachannel = ({ channel }) => greetBack(channel, clientId);
    await pc.setRemoteDescription({ type: "offer", sdp });
    await pc.setLocalDescription();
    send(from, describe(pc));
  }
}

function describe({ localDescription: { type, sdp } }) {
  return { type, sdp };
}

main();
