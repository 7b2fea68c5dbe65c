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
  const { code, reason } = await bystander.closed;
  assert.deepEqual([code, reason], [1012, "shutting_down"]);
  const { status, stderr } = await program.ended();
  assert.equal(status, 75);
  assert.match(
    stderr,
    /^WARN - Shutting down: \d+ bytes of memory, over --max-memory 268435456\n$/,
  );
  console.info(`limit ${inMebibytes(LIMIT_BYTES)}, at its highest ${inMebibytes(peakBytes)}`);
});
