/** Attackers beside the participants, in a room and with an address of their own: whatever they do, no other loses a message. */

import { RawPeer } from "../../tests/helpers/raw_peer.ts";
import { pause } from "./pause.ts";

const ROOM = "attackers";
/** Counts as their address if the server trusts a proxy here. */
const HEADERS = { "x-forwarded-for": "192.0.2.66" };
/** Time between two acts of an attacker. Together they shall not take the machine from the clients that are measured. */
const PAUSE_MS = 100;

const register = (id: string, more: object = {}) =>
  JSON.stringify({ type: "register", client_id: id, room: ROOM, ...more });
const message = (target: string, pad: string) => JSON.stringify({ target_id: target, pad });
/** Objects with ever new names: a reader that builds them takes thirty times as long. */
const COSTLY = JSON.stringify(
  Object.fromEntries(Array.from({ length: 4000 }, (_, n) => [`name ${n}`, { [`${n}`]: n }])),
);

async function join(url: string, id: string, more?: object): Promise<RawPeer> {
  const peer = await RawPeer.open(url, HEADERS);
  await peer.sendText(register(id, more));
  await peer.readFrame();
  return peer;
}

/** Opens connections that send, and throw away what comes, until they are closed. */
async function send(url: string, id: string, texts: readonly string[]): Promise<void> {
  using peer = await join(url, id);
  const ended = peer.readToEnd();
  for (const text of texts) await peer.sendText(text);
  await Promise.race([ended, pause(2 * PAUSE_MS)]);
}

interface Attack {
  (target: { readonly url: string; readonly adminUrl: string | undefined }): Promise<unknown>;
}

const ATTACKS: readonly Attack[] = [
  async function fillClientThatDoesNotRead({ url }) {
    using _ = await join(url, "not reading");
    await send(url, "filler", Array(600).fill(message("not reading", "x".repeat(16_000))));
  },
  async function registerWithResumeAndCut({ url }) {
    (await join(url, `held ${Math.random()}`, { resume: true })).close();
  },
  async function fillMailbox({ url }) {
    const absent = () => message(`absent ${Math.random()}`, "x".repeat(60_000));
    await send(url, "mailbox filler", Array.from({ length: 40 }, absent));
  },
  async function sendCostlyTexts({ url }) {
    await send(url, "costly", Array(20).fill(COSTLY));
  },
  async function sendOverTheRate({ url }) {
    await send(url, "over the rate", Array(1200).fill(message("over the rate", "")));
  },
  async function guessPasswords({ adminUrl }) {
    if (adminUrl === undefined) return;
    const authorization = `Basic ${btoa(`admin:${Math.random()}`)}`;
    const answer = await fetch(adminUrl, { headers: { authorization } });
    await answer.body?.cancel();
  },
];

/** Attacks a server in every way until `isOver`. */
export async function attack(
  url: string,
  adminUrl: string | undefined,
  isOver: () => boolean,
): Promise<void> {
  await Promise.all(ATTACKS.map(async (act) => {
    while (!isOver()) {
      await act({ url, adminUrl }).catch(() => {}); // the server has ended its connection
      await pause(PAUSE_MS);
    }
  }));
}
