/** What nodes send to Redis, argument by argument, as lib/cluster/registry.ts and lib/cluster/post.ts do. */

import { idsKey, mailKeys } from "../../../lib/cluster/keys.ts";
import { type DirectMessage, writeMessage } from "../../../lib/cluster/messages.ts";
import type { ScriptName } from "../../../lib/cluster/scripts.ts";
import { MAILBOX_LIMITS } from "../../../lib/relay/mailbox.ts";

/** A script, its keys, and its other arguments. */
export type Call = readonly [script: ScriptName, ...args: (string | number)[]];

/** So late that nothing is too late. */
const NOT_AFTER_MS = Date.UTC(2100, 0);
const MAILBOX_TTL_MS = 10_000;

/** A client comes, without `resume`. */
export function claim(
  node: string,
  room: string,
  id: string,
  question: number,
  wantsMembers: boolean,
): Call {
  const secrets = ["", ""];
  return [
    "claim",
    ...mailKeys(room, id),
    room,
    id,
    node,
    "replace",
    0,
    ...secrets,
    wantsMembers ? 1 : 0,
    question,
    NOT_AFTER_MS,
  ];
}

/** A client goes for good. */
export function release(node: string, room: string, id: string, claim: number): Call {
  return ["release", idsKey(room), room, id, node, claim, 0];
}

/** A client has a message for one of another node. */
export function send(
  message: DirectMessage & { readonly sender: NonNullable<DirectMessage["sender"]> },
  number: number,
): Call {
  const { room, targetId, frame, sender } = message;
  return [
    "send",
    ...mailKeys(room, targetId),
    room,
    targetId,
    writeMessage(message),
    `${sender.node}:${number}`,
    frame.length, // ASCII
    sender.node,
    sender.id,
    MAILBOX_TTL_MS,
    MAILBOX_LIMITS.messagesPerTarget,
    MAILBOX_LIMITS.bytesPerTarget,
    "",
    0,
    NOT_AFTER_MS,
  ];
}
