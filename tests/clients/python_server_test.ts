/** The Python client with the real server: what only both together show. */

import assert from "node:assert/strict";
import { TestClient } from "../helpers/client.ts";
import { ServingProgram } from "../helpers/program.ts";
import { DEBIAN_PYTHON } from "../helpers/tools.ts";
import { ProgramPeer } from "../interop/peers.ts";
import { isWebsocketsMissing, PythonPath } from "./python.ts";

const LISTENER = `
import asyncio, signalbox, sys

def say(*words):
    print(*words, flush=True)

async def main(url, resume):
    store = {"": False, "memory": True}.get(resume) if resume in ("", "memory") else signalbox.ResumeFile(resume)
    signaling = signalbox.connect(url, client_id="robot", resume=store, presence=True)
    signaling.on("statechange", lambda change: say(change.state, signaling.resumed))
    signaling.on("error", lambda error: say(error.code))
    signaling.on("joined", lambda peer: say("joined", peer.client_id))
    signaling.on("left", lambda peer: say("left", peer.client_id))
    async with signaling:
        async for message in signaling:
            say(message["text"])
    say("over")

asyncio.run(main(*sys.argv[1:]))
`;

const ignore = isWebsocketsMissing();

function start(path: PythonPath, url: string, resume: "" | "memory" | string): ProgramPeer {
  return new ProgramPeer([DEBIAN_PYTHON, "-c", LISTENER, url, resume], { env: path.env });
}

Deno.test({
  name: "client.py gets few notices of a crowd, and one of a leave",
  ignore,
  async fn() {
    await using server = await ServingProgram.start(["--log-level", "warn"]);
    await using path = await PythonPath.make();
    await using robot = start(path, server.url, "");
    await robot.said("registered False");
    const crowd = await Promise.all(
      Array.from({ length: 20 }, (_, index) => TestClient.register(server.url, `c${index}`)),
    );
    for (let index = 0; index < 20; index++) await robot.said(`joined c${index}`);
    await Promise.all(crowd.map((client) => client.close()));
    for (let index = 0; index < 20; index++) await robot.said(`left c${index}`);
  },
});

Deno.test({
  name: "client.py waits for an ID that is held, and takes it at once with a resume file",
  ignore,
  async fn() {
    await using server = await ServingProgram.start(["--resume-ttl", "3s"]);
    await using path = await PythonPath.make();
    await using first = start(path, server.url, "memory");
    await first.said("registered False");
    first.kill("SIGKILL");
    await using second = start(path, server.url, "memory");
    await second.said("id_held");
    await second.said("registered False");
    second.kill("SIGTERM"); // which gives the ID up
    await second.said("over");

    const file = `${path.folder}/robot.resume`;
    await using third = start(path, server.url, file);
    await third.said("registered False");
    assert.equal((await third.lines()).includes("id_held"), false);
    third.kill("SIGKILL");
    await server.logged("Client disconnected, ID held: robot", 2);
    const caller = await TestClient.register(server.url, "caller");
    caller.send({ target_id: "robot", text: "kept for the robot" });
    await using fourth = start(path, server.url, file);
    await fourth.said("registered True");
    await fourth.said("kept for the robot");
    await caller.close();
  },
});
