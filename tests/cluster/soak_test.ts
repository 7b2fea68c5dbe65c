/** Soaks a whole cluster for each kind of failure, several at a time. */

import assert from "node:assert/strict";
import { HAPROXY, rollingRestart } from "../../scripts/rolling_restart.ts";
import { SHORT_TIMES, SoakCluster } from "../../scripts/soak/cluster.ts";
import { type FailureName, FAILURES, mailboxTtlMsFor } from "../../scripts/soak/failures.ts";
import { isOwnNetworkMissing, runInOwnNetwork } from "../helpers/cable.ts";
import { isRedisMissing } from "../helpers/redis.ts";
import { isFile, isMissing } from "../helpers/tools.ts";
import { testBesideEachOther } from "./beside_each_other.ts";
import { soakRound } from "./soak_round.ts";

const NODES = 3;
/** The failure that CI leaves to the simulation: a stall of a client beside it can be judged wrongly. */
const UNSETTLED: FailureName = "kill";

testBesideEachOther(
  "a cluster that fails at random times loses no message without a notice",
  isRedisMissing(),
  {
    ...Object.fromEntries(
      Object.entries(FAILURES).filter(([name]) => name !== UNSETTLED).map((
        [name, { hurt, durationMs }],
      ) => [name, async () => {
        const terms = { ...SHORT_TIMES, mailboxTtlMs: mailboxTtlMsFor(name as FailureName) };
        await using cluster = await SoakCluster.start(NODES, terms);
        await soakRound(name, cluster.urls, terms, () => hurt(cluster, durationMs));
      }]),
    ),

    "cut-off by its cable": async () => {
      if (isOwnNetworkMissing()) return;
      console.info(await runInOwnNetwork(new URL("soak_in_namespace.ts", import.meta.url)));
    },

    "a rolling restart behind HAProxy": async () => {
      if (isMissing(isFile(HAPROXY), `${HAPROXY} (Debian: haproxy)`)) return;
      const { violations, sent, delivered, lostWithConnection } = await rollingRestart({
        clients: 60,
        rate: 60,
      });
      assert.deepEqual(violations, []);
      assert.ok(delivered >= sent - lostWithConnection);
    },

    "nothing fails": async () => {
      await using cluster = await SoakCluster.start(NODES, SHORT_TIMES);
      await soakRound("nothing fails", cluster.urls, SHORT_TIMES, null);
    },
  },
);
