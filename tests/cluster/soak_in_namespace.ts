/** Soaks a cluster while the cable of a node is pulled. soak_test.ts runs this in a network of its own. */

import { argsFor, SHORT_TIMES } from "../../scripts/soak/cluster.ts";
import { cutOff, FAILURES } from "../../scripts/soak/failures.ts";
import { acrossCables } from "./across_cables.ts";
import { soakRound } from "./soak_round.ts";

const { durationMs } = FAILURES["cut-off"];

await acrossCables(
  ({ nodes, urls }, cable) =>
    soakRound(
      "cut-off by its cable",
      urls,
      SHORT_TIMES,
      () => cutOff(nodes[0]!, cable, durationMs),
    ),
  ...argsFor(SHORT_TIMES),
);
