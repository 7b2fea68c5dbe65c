/** Responses to requests, which do not come with the replies. */

import assert from "node:assert/strict";
import { Disconnected } from "../../lib/cluster/disconnected.ts";
import type { ResponseMessage } from "../../lib/cluster/messages.ts";
import { PendingRequests } from "../../lib/cluster/pending_requests.ts";
import { testPure } from "../helpers/pure.ts";
import { NO_RESPONSE } from "./no_response.ts";

function responseTo(requestId: number): ResponseMessage {
  return { ...NO_RESPONSE, requestId };
}

testPure("request() passes the response on at once, before the reply or after it", async () => {
  const requests = new PendingRequests();
  const responses: string[] = [];
  const replied = Promise.withResolvers<null>();
  const listen = (name: string) => (response: ResponseMessage | null) => {
    responses.push(`${name} ${response?.requestId}`);
  };
  const first = requests.request(() => replied.promise, listen("first"));
  const second = requests.request(() => Promise.resolve(null), listen("second"));
  requests.resolve(responseTo(1));
  assert.deepEqual(responses, ["first 1"]);
  await first;
  requests.resolve(responseTo(2));
  assert.deepEqual(responses, ["first 1", "second 2"]);
  await second;
  replied.resolve(null);
});

testPure("request() passes null if the request was late or could not be sent", async () => {
  for (
    const send of [
      () => Promise.resolve("late"),
      () => Promise.reject(new Disconnected("not connected")),
    ]
  ) {
    const requests = new PendingRequests();
    const responses: unknown[] = [];
    await requests.request(send, (response) => responses.push(response));
    requests.resolve(responseTo(1));
    assert.deepEqual(responses, [null]);
  }
});

testPure("rejectAll() passes null to all listeners", async () => {
  const requests = new PendingRequests();
  const responses: unknown[] = [];
  const requested = [1, 2].map(() =>
    requests.request(() => new Promise(() => {}), (response) => responses.push(response))
  );
  requests.rejectAll();
  await Promise.all(requested);
  assert.deepEqual(responses, [null, null]);
});

testPure("request() rejects with what the listener throws", async () => {
  const requests = new PendingRequests();
  const requested = requests.request(() => Promise.resolve(null), () => {
    throw new Error("no");
  });
  requests.resolve(responseTo(1));
  await assert.rejects(requested, /^Error: no$/);
});

testPure("resolve() ignores a response to an unknown request", () => {
  new PendingRequests().resolve(responseTo(1));
});
