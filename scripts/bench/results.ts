/** Sums up figures: medians and quartiles, and ratios to the baseline taken within a turn. */

import { BASELINE } from "./contenders.ts";
import type { Metric } from "./scenarios/scenario.ts";
import { type Spread, spread } from "./statistics.ts";
import type { Samples } from "./turns.ts";

/** One metric of one contender. */
export interface Result {
  readonly contender: string;
  readonly value: Spread;
  /** Ratio to the baseline; null for itself, and if it did not run. */
  readonly ratio: Spread | null;
}

export interface MetricResults {
  readonly scenario: string;
  readonly metric: Metric;
  readonly results: readonly Result[];
}

/** The figures, summed up and raw. */
export interface ScenarioRun {
  readonly name: string;
  readonly what: string;
  readonly metrics: readonly MetricResults[];
  readonly samples: Samples;
}

/** Sums up one metric of a scenario, for the contenders that have it. */
export function summarize(
  scenario: string,
  metric: Metric,
  samples: Samples,
  baseline = BASELINE,
): MetricResults {
  const valuesOf = (contender: string) =>
    samples.get(contender)?.map((sample) => sample[metric.name] ?? NaN) ?? [];
  const reference = valuesOf(baseline);
  const hasMetric = (contender: string) => metric.name in (samples.get(contender)?.[0] ?? {});
  const results = [...samples.keys()].filter(hasMetric).map((contender) => {
    const values = valuesOf(contender);
    const ratios = values.map((value, turn) => value / (reference[turn] ?? NaN));
    const isCompared = hasMetric(baseline) && contender !== baseline;
    return { contender, value: spread(values), ratio: isCompared ? spread(ratios) : null };
  });
  return { scenario, metric, results };
}
