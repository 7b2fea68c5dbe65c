/** A client fills the memory: the runtime takes in fragments without end (denoland/deno#15809). */

import assert from "node:assert/strict";
import { TestClient } from "../helpers/client.ts";
import { frameBytes, OPCODE } from "../helpers/frames.ts";
import { hasProc, inMebibytes, memoryOf } from "../helpers/process.ts";
import { ServingProgram } from "../helpers/program.ts";
import { answerToUpgrade, RawPeer } from "../helpers/raw_peer.ts";
import { testOnRuntimes } from "../helpers/runtimes.ts";

const MiB = 1024 ** 2;
const LIMIT_BYTES = 256 * MiB;
const FRAGMENT = frameBytes({
  opcode: OPCODE.CONTINUATION,
  fin: false,
  payload: "x".repeat(65536),
});

/** Sends fragments of one message while `wanted` says so; true when the server has ended the connection instead. */
async function fill(peer: RawPeer, wanted: () => boolean): Promise<boolean> {
  try {
    while (wanted()) await peer.write(FRAGMENT);
    return false;
  } catch {
    return true;
  }
}

testOnRuntimes("--max-memory: 503 above three quarters, the end with 75 above", async (command) => {
  if (!hasProc) return console.info("skipped: needs /proc");
  const args = ["--max-memory", `${LIMIT_BYTES}`, "--log-level", "warn"];
  await using program = await ServingProgram.start(args, { command });
  const bystander = await TestClient.register(program.url, "bystander");
  using filler = await RawPeer.register(program.url, "filler");
  await filler.send({ fin: false });

  await fill(filler, () => memoryOf(program.pid).nowBytes < 0.8 * LIMIT_BYTES);
  while (!/ 503 /.test(await answerToUpgrade(program.url))); // it looks from time to time
  bystander.send({ target_id: "bystander", still: "here" });
  assert.equal((await bystander.next()).still, "here");

  let peakBytes = 0;
  const wasCut = await fill(filler, () => {
    peakBytes = Math.max(peakBytes, memoryOf(program.pid).nowBytes);
    return true;
  });
  assert(wasCut);
  assert.deepEqual(await bystander.ending(), [1012, "shutting_down"]);
  const { status, stderr } = await program.ended();
  assert.equal(status, 75);
  assert.match(
    stderr,
    /^WARN - Shutting down: \d+ bytes of memory, over --max-memory 268435456\n$/,
  );
  console.info(`limit ${inMebibytes(LIMIT_BYTES)}, at its highest ${inMebibytes(peakBytes)}`);
});

/** Connects, registers and leaves without a word, many at a time, until it is refused. */
async function floodUntilRefused(url: string): Promise<void> {
  const register = JSON.stringify({ type: "register", client_id: "flood" });
  let left = 15_000;
  const flood = async () => {
    while (left-- > 0) {
      try {
        using peer = await RawPeer.open(url);
        await peer.sendText(register);
        await peer.readFrame();
      } catch {
        left = 0;
      }
    }
  };
  await Promise.all(Array.from({ length: 50 }, flood));
}

/** The longest that newcomers may be refused once a flood has ended. */
const RECOVERY_MS = 10_000;

testOnRuntimes("newcomers are let in again within ten seconds after a flood", async (command) => {
  if (!hasProc) return console.info("skipped: needs /proc");
  const limit = `${120 * MiB}`; // little more than what an idle server takes
  const args = ["--max-memory", limit, "--resume-ttl", "0", "--log-level", "warn"];
  await using program = await ServingProgram.start(args, { command });
  await floodUntilRefused(program.url);
  const endedAtMs = performance.now();
  while (/ 503 /.test(await answerToUpgrade(program.url))) {
    assert(performance.now() - endedAtMs < RECOVERY_MS, "still refused");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const seconds = ((performance.now() - endedAtMs) / 1000).toFixed(1);
  console.info(`refused for ${seconds} s, ${inMebibytes(memoryOf(program.pid).nowBytes)} resident`);
});
