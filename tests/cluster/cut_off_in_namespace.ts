/** Pulls the cable of a node. failures_test.ts runs this in a network of its own. */

import { acrossCables } from "./across_cables.ts";
import { testCutOff } from "./cut_off.ts";

await acrossCables(testCutOff);
