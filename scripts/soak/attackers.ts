/** Attackers beside the participants, in a room and with an address of their own: whatever they do, no other loses a message. */

import { constants, setPriority } from "node:os";
import { concat, frameBytes } from "../../tests/helpers/frames.ts";
import { RawPeer } from "../../tests/helpers/raw_peer.ts";
import { pause } from "./pause.ts";

const ROOM = "attackers";
/** Counts as their address if the server trusts a proxy here. */
const HEADERS = { "x-forwarded-for": "192.0.2.66" };
/** Time between two acts of an attacker. */
const PAUSE_MS = 100;

const register = (id: string, more: object = {}) =>
  JSON.stringify({ type: "register", client_id: id, room: ROOM, ...more });
const message = (target: string, pad: string) => JSON.stringify({ target_id: target, pad });
/** Makes the frames of several messages, once: to mask them for each act would take the processor from the measured pair. */
const frames = (texts: readonly string[]) =>
  concat(...texts.map((payload) => frameBytes({ payload })));
/** Makes objects with ever new names: a reader that builds them takes thirty times as long. */
const costlyText = () =>
  JSON.stringify(
    Object.fromEntries(Array.from({ length: 4000 }, (_, n) => [`name ${n}`, { [`${n}`]: n }])),
  );

async function join(url: string, id: string, more?: object): Promise<RawPeer> {
  const peer = await RawPeer.open(url, HEADERS);
  await peer.sendText(register(id, more));
  await peer.readFrame();
  return peer;
}

/** Sends all bytes at once, and drops what comes, until the connection is closed. */
async function send(url: string, id: string, bytes: Uint8Array): Promise<void> {
  using peer = await join(url, id);
  const ended = peer.readToEnd();
  await peer.write(bytes);
  await Promise.race([ended, pause(2 * PAUSE_MS)]);
}

interface Target {
  readonly url: string;
  /** The address of the admin page, whose password is guessed; undefined if it shall not be. */
  readonly adminUrl: string | undefined;
}

type Attack = (target: Target) => Promise<unknown>;

function makeAttacks(): readonly Attack[] {
  const filling = frames(Array(600).fill(message("not reading", "x".repeat(16_000))));
  const stored = frames(
    Array.from({ length: 40 }, (_, n) => message(`absent ${n}`, "x".repeat(60_000))),
  );
  const costly = frames(Array(20).fill(costlyText()));
  const many = frames(Array(1200).fill(message("over the rate", "")));
  return [
    async function fillClientThatDoesNotRead({ url }) {
      using _ = await join(url, "not reading");
      await send(url, "filler", filling);
    },
    async function registerWithResumeAndCut({ url }) {
      (await join(url, `held ${Math.random()}`, { resume: true })).close();
    },
    ({ url }) => send(url, "mailbox filler", stored),
    ({ url }) => send(url, "costly", costly),
    ({ url }) => send(url, "over the rate", many),
    async function guessPasswords({ adminUrl }) {
      if (adminUrl === undefined) return;
      const authorization = `Basic ${btoa(`admin:${Math.random()}`)}`;
      const answer = await fetch(adminUrl, { headers: { authorization } });
      await answer.body?.cancel();
    },
  ];
}

/** Attacks a server in every way, from a thread of its own, until it is disposed. */
export class Attackers implements Disposable {
  readonly #worker = new Worker(import.meta.url, { type: "module" });

  constructor(target: Target) {
    this.#worker.postMessage(target);
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

if ("DedicatedWorkerGlobalScope" in globalThis) {
  // Linux lowers this thread alone: attackers stand for other machines, and leave the processor to the pair.
  setPriority(constants.priority.PRIORITY_LOW);
  const scope = globalThis as unknown as Pick<Worker, "onmessage">;
  scope.onmessage = ({ data }: MessageEvent<Target>) => {
    for (const act of makeAttacks()) void repeat(act, data);
  };
}

async function repeat(act: Attack, target: Target): Promise<never> {
  while (true) {
    await act(target).catch(() => {}); // the server has ended its connection
    await pause(PAUSE_MS);
  }
}
