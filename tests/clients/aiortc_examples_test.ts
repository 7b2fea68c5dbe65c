/** aiortc's own examples, as Debian ships them, run with one line changed. */

import assert from "node:assert/strict";
import { ServingProgram } from "../helpers/program.ts";
import { DEBIAN_PYTHON, isFile, isMissing } from "../helpers/tools.ts";
import { ProgramPeer } from "../interop/peers.ts";
import { isAiortcMissing, PythonPath } from "./python.ts";

const EXAMPLES = "/usr/share/doc/python3-aiortc/examples";
const LINE = "signaling = create_signaling(args)";

const lacksExamples = isAiortcMissing() ||
  isMissing(isFile(`${EXAMPLES}/datachannel-cli/cli.py`), "aiortc's examples (dpkg keeps doc)");

/** The replacement of the line, for two programs called `offer` and `answer` or `send` and `receive`. */
function changedLine(url: string): string {
  const others = "dict(offer='answer', answer='offer', send='receive', receive='send')";
  return "import signalbox; signaling = " +
    `signalbox.AiortcSignaling("${url}", args.role, ${others}[args.role])`;
}

/** Starts an example, on loopback alone, with what a terminal would show at once. */
async function startExample(
  example: string,
  path: PythonPath,
  url: string,
  ...args: readonly string[]
): Promise<ProgramPeer> {
  const source = await Deno.readTextFile(`${EXAMPLES}/${example}`);
  assert.equal(source.split(LINE).length, 2, "the example has another line now");
  const file = `${path.folder}/${example.replaceAll("/", "_")}`;
  await Deno.writeTextFile(file, source.replace(LINE, changedLine(url)));
  // aiortc leaves loopback out by itself.
  const onLoopback = "import aioice.ice, runpy, sys; " +
    "aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ['127.0.0.1']; " +
    "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')";
  return new ProgramPeer([DEBIAN_PYTHON, "-u", "-c", onLoopback, file, ...args], { env: path.env });
}

Deno.test({
  name: "aiortc's datachannel-cli runs with one line changed, whichever side comes first",
  ignore: lacksExamples,
  async fn() {
    await using server = await ServingProgram.start(["--log-level", "warn", "--mailbox-ttl", "0"]);
    await using path = await PythonPath.make();
    await using offer = await startExample("datachannel-cli/cli.py", path, server.url, "offer");
    await offer.said("channel(chat) - created by local party");
    await using answer = await startExample("datachannel-cli/cli.py", path, server.url, "answer");
    await answer.said("channel(chat) < ping 0");
    await offer.said("channel(chat) < pong 0");
    offer.kill("SIGTERM");
    await answer.said("Exiting");
  },
});

Deno.test({
  name: "aiortc's datachannel-filexfer runs with one line changed",
  ignore: lacksExamples,
  async fn() {
    await using server = await ServingProgram.start(["--log-level", "warn"]);
    await using path = await PythonPath.make();
    const example = "datachannel-filexfer/filexfer.py";
    const [from, to] = [`${path.folder}/from`, `${path.folder}/to`];
    await Deno.writeFile(from, crypto.getRandomValues(new Uint8Array(50_000)));
    {
      await using receiver = await startExample(example, path, server.url, "receive", to);
      await using _sender = await startExample(example, path, server.url, "send", from);
      await receiver.said("Exiting");
    }
    assert.deepEqual(await Deno.readFile(to), await Deno.readFile(from));
  },
});
