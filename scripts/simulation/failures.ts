/** Failures of a simulated cluster. */

import type { SimulatedNode } from "./node.ts";
import type { World } from "./world.ts";

export type FailureKind = keyof typeof FAILURES;

/** Hurts a node, or all; returns what ends that. */
type Failure = (world: World, node: SimulatedNode) => () => void;

export const FAILURES = {
  /** A node's connection to Redis breaks. */
  cut({ random }, { connection }) {
    if (connection === undefined) return () => {};
    connection.execute(random.integer(0, connection.requests.length));
    connection.receive(random.integer(0, connection.arrivals.length));
    connection.drop();
    connection.fail("cut");
    return () => {};
  },

  /** A node does not reach Redis, and neither notices. */
  silence({ redis, random }, node) {
    const { connection } = node;
    node.isCutOff = true;
    if (connection !== undefined) connection.isSilent = true;
    return () => {
      node.isCutOff = false;
      for (const connection of node.connections) {
        connection.isSilent = false;
        if (!connection.isOpen && random.chance(0.5)) connection.drop();
      }
      if (connection !== undefined && !redis.connections.has(connection)) connection.fail("reset");
    };
  },

  /** Redis is restarted, with its data or without. */
  restart({ redis, random }) {
    redis.isUp = false;
    if (random.chance(0.5)) redis.data.clear();
    for (const connection of [...redis.connections]) {
      if (!connection.isSilent) connection.receive(random.integer(0, connection.arrivals.length));
      connection.drop();
      if (!connection.isSilent) connection.fail("restart");
    }
    return () => redis.isUp = true;
  },

  /** A node shuts down in order. */
  leave({ clients }, node) {
    node.isLeaving = true;
    node.cluster.expireStored();
    for (const { open } of clients) {
      for (const connection of open) if (connection.node === node) connection.close();
    }
    node.cluster.stop().then(() => node.isDead = true);
    return () => {};
  },

  /** A node is killed, and does not come back. */
  kill({ random, clients }, node) {
    const { connection } = node;
    node.isDead = true;
    connection?.execute(random.integer(0, connection.requests.length));
    connection?.drop();
    for (const { open } of clients) {
      for (const connection of open) if (connection.node === node) connection.isOpen = false;
    }
    return () => {};
  },

  /** A node is paused. */
  pause(_, node) {
    node.isPaused = true;
    return () => node.isPaused = false;
  },
} satisfies Record<string, Failure>;
