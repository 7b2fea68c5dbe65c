/**
 * A peer in the browser, with the server's own client. It takes every call. With a target in its address it calls that
 * one, with a data channel and a moving picture. It calls again when that call has ended.
 *
 *     call_peer.html?client_id=browser_001[&target_id=receiver_001][&server=ws://localhost:8765]
 */

"use strict";

async function main() {
  const query = new URLSearchParams(location.search);
  const clientId = query.get("client_id") ?? "browser_001";
  const targetId = query.get("target_id");
  const server = query.get("server") ?? "ws://localhost:8765";

  // A page from a file cannot import it with a statement.
  const { connect } = await import(new URL("/client.js", server.replace(/^ws/, "http")).href);
  const signaling = connect(server, { clientId, resume: true });
  globalThis.signaling = signaling; // for the tests
  signaling.on("statechange", ({ state }) => {
    if (state === "registered") say(`registered: ${clientId}`);
    if (state === "waiting") say("signaling lost");
  });
  signaling.on("error", ({ message }) => say(`error: ${message}`));
  signaling.on("call", ({ peerId, accept }) => {
    say(`offer from ${peerId}`);
    const pc = watch(accept());
    pc.ontrack = ({ track }) => show(track);
    pc.ondatachannel = ({ channel }) => greetBack(channel, clientId);
  });
  signaling.on("ended", ({ peerId }) => {
    say(`ended: ${peerId}`);
    if (targetId !== null) call();
  });
  if (targetId !== null) call();

  function call() {
    const pc = watch(signaling.peer(targetId));
    greet(pc.createDataChannel("chat"), clientId);
    pc.addTrack(movingPicture());
  }
}

function watch(pc) {
  pc.onconnectionstatechange = () => say(pc.connectionState);
  return pc;
}

main();
