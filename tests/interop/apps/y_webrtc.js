/** A Yjs document over y-webrtc's own provider, for topics_test.ts. */

import { WebrtcProvider } from "npm:y-webrtc@10.3.0";
import * as Y from "npm:yjs@13.6.33";

/** Opens a document, as an app does. */
globalThis.openDocument = (url, room, password) => {
  const document = new Y.Doc();
  const peerOpts = { config: { iceServers: [] } };
  const options = { signaling: [url], password, peerOpts, filterBcConns: false };
  globalThis.provider = new WebrtcProvider(room, document, options);
  globalThis.text = document.getText("text");
};

/** Resolves once the text is this one. */
globalThis.reads = (wanted) =>
  new Promise((resolve) => {
    const check = () => globalThis.text.toString() === wanted && resolve();
    globalThis.text.observe(check);
    check();
  });
