/** Hostile inputs of clients of other servers: in their URLs, in their messages, and over plain HTTP. */

import { RawPeer, UPGRADE_HEADERS, upgradeRequest } from "../../helpers/raw_peer.ts";
import { hitAndRun, type Kind } from "./kind.ts";
import { brokenMessage, DEEP, largeMessage, outcomeOf, type Spoken, spoken } from "./spoken.ts";

const NO_STRINGS = ["0", "null", "true", "{}", '["left"]', "1e400", DEEP];
const NO_HOSTS = ["[", "a b", "%", "x:99999", "", "a/b?c", "@", "a\\b"];
/** IDs that are none, as a URL has them. */
const BAD_IDS = ["%00", "a%0Ab", "%1b[2J", "x".repeat(129), "x".repeat(8000), "%ed%a0%80%0a"];

const peerjsTarget = (id: string) => `/peerjs?key=peerjs&id=${encodeURIComponent(id)}&token=t`;
const libdatachannelTarget = (id: string) => `/${encodeURIComponent(id)}`;

const PEERJS: Spoken = {
  open: (url, id) => open(url, peerjsTarget(id)),
  message: (dst, payload) => ({ type: "OFFER", dst, payload }),
};

const LIBDATACHANNEL: Spoken = {
  open: (url, id) => open(url, libdatachannelTarget(id)),
  message: (id, mark) => ({ id, mark }),
};

async function open(url: string, target: string, host = "localhost"): Promise<RawPeer> {
  const peer = await RawPeer.connect(url);
  await peer.write(upgradeRequest({ ...UPGRADE_HEADERS, host }, `GET ${target} HTTP/1.1`));
  await peer.readHead();
  return peer;
}

export const BAD_DIALECTS: readonly Kind[] = [
  {
    name: "PeerJS: URLs that register nothing",
    expected: ["1008"],
    async run({ url, random }) {
      const query = random.pick([
        "key=peerjs",
        "id=a&token=t",
        "key=%FF&id=a&token=t",
        ...BAD_IDS.map((id) => `key=peerjs&id=${id}&token=t`),
        `key=${"k".repeat(8000)}&id=a&token=t`,
      ]);
      using peer = await open(url, `/peerjs?${query}`);
      return await outcomeOf(peer, "no mark");
    },
  },
  spoken("PeerJS: messages that are none", PEERJS, "open", brokenMessage),
  spoken("PeerJS: targets that are none", PEERJS, "open", (random) => {
    const dst = random.pick([...NO_STRINGS, `"${"x".repeat(50_000)}"`, '"\\u0000"', '"\\ud800"']);
    return `{"type":"OFFER","dst":${dst},"payload":${DEEP}}`;
  }),
  spoken("PeerJS: types that are none", PEERJS, "open", (random) => {
    const type = random.pick([...NO_STRINGS, '"EXPIRE"', '"ID-TAKEN"', '"__proto__"']);
    return `{"type":${type},"dst":"left"}`;
  }),
  spoken("PeerJS: messages that are too large", PEERJS, "1009", largeMessage),
  spoken("libdatachannel: messages that are none", LIBDATACHANNEL, "open", brokenMessage),
  spoken("libdatachannel: destinations that are none", LIBDATACHANNEL, "open", (random) => {
    const ids = [...NO_STRINGS, '""', '"constructor"', `"${"x".repeat(50_000)}"`, '"\\ud800"'];
    return `{"id":${random.pick(ids)},"deep":${DEEP}}`;
  }),
  spoken("libdatachannel: messages that are too large", LIBDATACHANNEL, "1009", largeMessage),
  hitAndRun("hosts that are none", async ({ url, random, id }) => {
    const target = random.pick(["/", peerjsTarget(id), libdatachannelTarget(id)]);
    using peer = await open(url, target, random.pick(NO_HOSTS));
    await peer.sendText("{}");
  }),
  hitAndRun("paths that are no IDs", async ({ url, random }) => {
    using peer = await open(url, random.pick(["/%", "/%ff", "//", "/a/", "/?", ...BAD_IDS]));
    await peer.sendText('{"id":"left"}').catch(() => {});
  }),
  hitAndRun("PeerJS' routes over and over", async ({ url, random }) => {
    using peer = await RawPeer.connect(url);
    const path = random.pick(["/peerjs/id", "/peerjs/peers", "/%/peerjs/id", "/a/%ff/peers"]);
    const request = `GET ${path} HTTP/1.1\r\nhost: ${random.pick(NO_HOSTS)}\r\n\r\n`;
    await peer.write(request.repeat(random.integer(1, 50))).catch(() => {});
    await peer.readHead().catch(() => {});
  }),
];
