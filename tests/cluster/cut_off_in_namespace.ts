/** A node whose cable is pulled. To be run in a network of its own, by failures_test.ts. */

import { acrossCables } from "./across_cables.ts";
import { testCutOff } from "./cut_off.ts";

await acrossCables(testCutOff);
