/** What was measured, summed up: medians and quartiles, and ratios to the baseline taken within a turn. */

import { BASELINE } from "./contenders.ts";
import type { Metric, Scenario } from "./scenario.ts";
import { type Spread, spread } from "./statistics.ts";
import type { Samples } from "./turns.ts";

export interface Result {
  readonly contender: string;
  readonly metric: string;
  readonly unit: string;
  readonly value: Spread;
  /** To the baseline; null where that did not run. */
  readonly ratio: Spread | null;
}

export interface ScenarioResults {
  readonly scenario: string;
  readonly what: string;
  readonly results: readonly Result[];
}

export function summarize(scenario: Scenario, samples: Samples): ScenarioResults {
  const results = scenario.metrics.flatMap((metric) =>
    [...samples.keys()].map((contender) => summarizeOne(contender, metric, samples))
  );
  return { scenario: scenario.name, what: scenario.what, results };
}

function summarizeOne(contender: string, metric: Metric, samples: Samples): Result {
  const values = valuesOf(contender, metric, samples);
  const baseline = valuesOf(BASELINE, metric, samples);
  return {
    contender,
    metric: metric.name,
    unit: metric.unit,
    value: spread(values),
    ratio: baseline.length === 0
      ? null
      : spread(values.map((value, turn) => value / baseline[turn]!)),
  };
}

function valuesOf(contender: string, { name }: Metric, samples: Samples): number[] {
  return (samples.get(contender) ?? []).map((sample) => sample[name] ?? NaN);
}
