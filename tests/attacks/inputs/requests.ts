/** Hostile requests: what never becomes a WebSocket. */

import { RawPeer, upgradeRequest } from "../../helpers/raw_peer.ts";
import { BROKEN_HANDSHAKES } from "../handshakes.ts";
import { hitAndRun, type Kind } from "./kind.ts";

export const BAD_REQUESTS: readonly Kind[] = [
  {
    name: "broken handshakes",
    expected: ["4xx", "cut"],
    async run({ url, random }) {
      using peer = await RawPeer.connect(url);
      await peer.write(random.pick(BROKEN_HANDSHAKES).bytes).catch(() => {});
      const [statusLine = ""] = (await peer.readHead().catch(() => "")).split("\r\n");
      if (statusLine === "") return "cut";
      return statusLine.startsWith("HTTP/1.1 4") ? "4xx" : statusLine;
    },
  },
  hitAndRun("heads that are not finished", async ({ url, random }) => {
    using peer = await RawPeer.connect(url);
    const request = upgradeRequest();
    await peer.write(request.slice(0, random.integer(1, request.length - 1)));
  }),
  hitAndRun("heads that are too long", async ({ url, random }) => {
    using peer = await RawPeer.connect(url);
    const junk = "x".repeat(random.integer(65_536, 500_000));
    await peer.write(`GET / HTTP/1.1\r\nx-junk: ${junk}\r\n\r\n`).catch(() => {});
  }),
  hitAndRun("bytes that are no HTTP", async ({ url, random }) => {
    using peer = await RawPeer.connect(url);
    await peer.write(random.bytes(random.integer(1, 2000))).catch(() => {});
  }),
  hitAndRun("unasked bodies", async ({ url, random }) => {
    using peer = await RawPeer.connect(url);
    const head = `POST /healthz HTTP/1.1\r\nhost: a\r\ncontent-length: ${10 ** 12}\r\n\r\n`;
    await peer.write(head).catch(() => {});
    await peer.write(random.bytes(random.integer(1, 50_000))).catch(() => {});
  }),
  hitAndRun("a reset in the middle of the handshake", async ({ url }) => {
    using peer = await RawPeer.connect(url);
    await peer.write(upgradeRequest());
    await peer.reset();
  }),
];
