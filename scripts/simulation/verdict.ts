/**
 * Judges a {@link World} that is at rest: each message was delivered once and in order, or its sender got an error; and every
 * node knows which clients are connected. Forgiven is what "What at most once costs" in cluster.md lists.
 */

import { Keys } from "../../lib/cluster/keys.ts";
import type { Client, ClientConnection, Sent } from "./client.ts";
import { PREFIX } from "./redis.ts";
import { RESUME_TTL_MS, type World } from "./world.ts";

/** Time before a failure in which a broadcast may miss a client, in milliseconds: it may be under way for so long. */
const UNDER_WAY_MS = 3000;

const ROOM_CHANNEL = new Keys(PREFIX).roomChannel("");

export function* judge(world: World): Generator<string> {
  for (const error of world.internalErrors) yield `internal error: ${error}`;
  for (const { connections } of world.clients) {
    for (const connection of connections) connection.update();
  }
  yield* judgeOrder(world);
  yield* judgeBroadcasts(world);
  yield* judgeLosses(world);
  yield* judgeState(world);
}

function* judgeOrder(world: World): Generator<string> {
  for (const connection of world.clients.flatMap(({ connections }) => connections)) {
    const last = new Map<ClientConnection, Sent>();
    for (const message of connection.received) {
      const before = last.get(message.from);
      last.set(message.from, message);
      if (before === undefined || before.number < message.number) continue;
      const areDirect = before.to !== null && message.to !== null;
      if (areDirect || !isNearFailure(world, message) && !isNearFailure(world, before)) {
        yield `${connection.name} got ${message.number} after ${before.number}`;
      }
    }
  }
}

function* judgeBroadcasts(world: World): Generator<string> {
  for (const message of world.sent) {
    if (message.to !== null || isNearFailure(world, message)) continue;
    for (const connection of message.others) {
      const isDelivered = message.deliveredTo.some(({ client }) => client === connection.client);
      if (connection.isOpen && !isDelivered) {
        yield `${connection.name} missed the broadcast ${message.number}`;
      }
    }
  }
}

/** Returns whether a message was sent while a failure may have kept a broadcast from a client. */
function isNearFailure({ failures }: World, { sentAtMs }: Sent): boolean {
  return failures.some(({ fromMs, untilMs }) =>
    sentAtMs >= fromMs - UNDER_WAY_MS && sentAtMs <= untilMs
  );
}

function* judgeLosses(world: World): Generator<string> {
  const direct = world.sent.filter(({ to }) => to !== null);
  for (const { number, deliveredTo } of direct) {
    if (deliveredTo.length > 1) yield `${number} was delivered ${deliveredTo.length} times`;
  }
  const undelivered = direct.filter(({ deliveredTo }) => deliveredTo.length === 0);
  for (const client of world.clients) {
    for (const { id } of world.clients) {
      const messages = undelivered.filter(({ from, to }) => from.client === client && to === id);
      const errors = world.errors.filter(({ at, target }) => at.client === client && target === id);
      if (world.failures.length === 0 && errors.length > messages.length) {
        yield `${client.id} got ${errors.length} errors for ${messages.length} lost messages`;
      }
      yield* judgeSession(world, client, messages, errors);
    }
  }
}

/** Judges the messages of the session that a client still has. Those of earlier ones may be lost with them. */
function* judgeSession(
  world: World,
  { open: [connection] }: Client,
  messages: readonly Sent[],
  errors: World["errors"],
): Generator<string> {
  const session = connection?.session ?? null;
  if (session === null || world.failures.some(({ kind }) => kind === "kill")) return;
  const lost = messages.filter((message) => {
    const hasEndedWithConnection = message.waits && !message.from.isOpen;
    return message.session === session && !hasEndedWithConnection &&
      !message.from.node.isLeaving && !mayExpireCutOff(world, message);
  });
  const reported = errors.filter(({ at }) => at.session === session);
  if (reported.length >= lost.length) return;
  const numbers = lost.map(({ number }) => number).join();
  yield `session ${session} got ${reported.length} errors for ${numbers}, which were lost`;
}

/** Returns whether the sender's session may have expired at its node during a failure, and gone on at another node. */
function mayExpireCutOff({ failures }: World, { from, session }: Sent): boolean {
  return from.client.connections.some(({ node, session: other, endedAtMs }) => {
    const expiresAtMs = endedAtMs + RESUME_TTL_MS;
    return node === from.node && other === session &&
      failures.some(({ fromMs, untilMs }) => fromMs <= expiresAtMs && expiresAtMs <= untilMs);
  });
}

function* judgeState({ clients, nodes }: World): Generator<string> {
  for (const { id, open } of clients) {
    if (open.length > 1) yield `${id} has ${open.map(({ name }) => name)} open`;
  }
  const expected = clients.filter(({ open }) => open.length > 0).map(({ id }) => id).sort().join();
  for (const { name, isDead, cluster, deps: { router }, connection } of nodes) {
    if (isDead) continue;
    if (cluster.stored > 0) yield `${name} stores ${cluster.stored} messages`;
    const known = [...cluster.idsIn("")].sort().join();
    const isUsed = router.room("") !== undefined;
    if (known !== (isUsed ? expected : "")) yield `${name} knows ${known} in place of ${expected}`;
    if (!isUsed && connection?.channels.has(ROOM_CHANNEL)) {
      yield `${name} is still subscribed to the room`;
    }
  }
}
