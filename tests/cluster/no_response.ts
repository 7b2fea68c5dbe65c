/** A response of a script without any content, which tests add. */

import type { ResponseMessage } from "../../lib/cluster/messages.ts";

export const NO_RESPONSE: ResponseMessage = {
  kind: "response",
  requestId: 0,
  status: "ok",
  room: "",
  id: "",
  epoch: 0,
  claimedAtMs: 0,
  hasMoved: false,
  members: [],
  cursor: "0",
};
