/** Counts values by size, at the price of a few comparisons for each. */

export class Histogram {
  /** Upper bounds of the buckets, the smallest first. What is larger than the last is only in `count` and `sum`. */
  readonly bounds: readonly number[];
  readonly #counts: number[];
  #count = 0;
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  observe(value: number): void {
    this.#count++;
    this.#sum += value;
    const { bounds } = this;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
    if (bucket < bounds.length) this.#counts[bucket]!++;
  }

  /** How many values there were. */
  get count(): number {
    return this.#count;
  }

  get sum(): number {
    return this.#sum;
  }

  /** For each bound, how many values were not above it. */
  get cumulative(): readonly number[] {
    let total = 0;
    return this.#counts.map((count) => total += count);
  }
}
