/** Clients as they exist, and the JSON that their libraries write: all of it goes through as it is. */

import assert from "node:assert/strict";
import { TestClient } from "../helpers/client.ts";
import { ServingProgram } from "../helpers/program.ts";
import { startServer } from "../helpers/server.ts";
import { DEBIAN_PYTHON, isMissing, succeeds } from "../helpers/tools.ts";

const PLAIN_EXCHANGE = new URL("../interop/plain_exchange.py", import.meta.url).pathname;

const lacksPython = isMissing(
  succeeds(DEBIAN_PYTHON, "-c", "import websockets"),
  "websockets for Python (Debian: python3-websockets)",
);

const SDP = String.raw`"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"`;
const CANDIDATE =
  '"candidate": "candidate:1 1 UDP 2130706431 127.0.0.1 50000 typ host", "sdpMid": "0", "sdpMLineIndex": 0';

Deno.test({
  name: "two clients in Python exchange offer, answer and candidates",
  ignore: lacksPython,
  async fn() {
    await using server = await ServingProgram.start(["--log-level", "warn"]);
    const command = new Deno.Command(DEBIAN_PYTHON, { args: [PLAIN_EXCHANGE, server.url] });
    const { stdout, stderr } = await command.output();
    assert.equal(new TextDecoder().decode(stderr), "");
    assert.deepEqual(new TextDecoder().decode(stdout).trimEnd().split("\n"), [
      'sender_001 got {"type":"registered","client_id":"sender_001"}',
      'receiver_001 got {"type":"registered","client_id":"receiver_001"}',
      `receiver_001 got {"type": "offer", "sdp": ${SDP}, "from":"sender_001"}`,
      `receiver_001 got {"type": "candidate", ${CANDIDATE}, "from":"sender_001"}`,
      `sender_001 got {"type": "answer", "sdp": ${SDP}, "from":"receiver_001"}`,
      `sender_001 got {"type": "candidate", ${CANDIDATE}, "from":"receiver_001"}`,
    ]);
  },
});

/** Messages of clients in C++, as the usual libraries write them; the server takes out the member `target`. */
const CPP_LIBRARIES = [
  {
    name: "nlohmann::json",
    register: '{"client_id":"sender_001","type":"register"}',
    target: '"target_id":"receiver_001"',
    messages: [
      String.raw`{"sdp":"v=0\r\ns=-\r\n","target_id":"receiver_001","type":"offer"}`,
      '{"candidate":"candidate:1 1 UDP 1 127.0.0.1 50000 typ host","sdpMLineIndex":0,"sdpMid":"0","target_id":"receiver_001","type":"candidate"}',
    ],
  },
  {
    name: "JsonCpp, which writes it over several lines",
    register: '{\n\t"client_id" : "sender_001",\n\t"type" : "register"\n}\n',
    target: '"target_id" : "receiver_001"',
    messages: [
      '{\n\t"sdp" : "v=0\\r\\ns=-\\r\\n",\n\t"target_id" : "receiver_001",\n\t"type" : "offer"\n}\n',
      '{\n\t"candidate" : "candidate:1 1 UDP 1 127.0.0.1 50000 typ host",\n\t"sdpMLineIndex" : 0,\n\t"sdpMid" : "0",\n\t"target_id" : "receiver_001",\n\t"type" : "candidate"\n}\n',
    ],
  },
  {
    name: "Boost.PropertyTree, which escapes slashes and writes numbers as strings",
    register: '{\n    "type": "register",\n    "client_id": "sender_001"\n}\n',
    target: '"target_id": "receiver_001"',
    messages: [
      '{\n    "type": "offer",\n    "target_id": "receiver_001",\n    "sdp": "m=application 9 UDP\\/DTLS\\/SCTP webrtc-datachannel\\r\\n"\n}\n',
      '{\n    "type": "candidate",\n    "target_id": "receiver_001",\n    "candidate": "candidate:1 1 UDP 1 127.0.0.1 50000 typ host",\n    "sdpMid": "0",\n    "sdpMLineIndex": "0"\n}\n',
    ],
  },
  {
    name: "a string that is put together by hand",
    register: '{"type":"register", "client_id":"sender_001"}',
    target: '"target_id":"receiver_001"',
    messages: [
      String.raw`{"target_id":"receiver_001", "type":"offer", "sdp":"v=0\r\ns=-\r\n"}`,
      '{"target_id":"receiver_001", "type":"candidate", "candidate":"candidate:1 1 UDP 1 127.0.0.1 50000 typ host", "sdpMid":"0", "sdpMLineIndex":0}',
    ],
  },
] as const;

for (const { name, register, target, messages } of CPP_LIBRARIES) {
  Deno.test(`messages go through as C++ writes them: ${name}`, async () => {
    await using server = startServer();
    const receiver = await TestClient.register(server.url, "receiver_001");
    const sender = await TestClient.connect(server.url);
    sender.send(register);
    assert.equal(await sender.nextText(), '{"type":"registered","client_id":"sender_001"}');
    for (const message of messages) {
      sender.send(message);
      assert.equal(await receiver.nextText(), message.replace(target, '"from":"sender_001"'));
    }
    await Promise.all([sender.close(), receiver.close()]);
  });
}
