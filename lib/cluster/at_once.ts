/** Limits the concurrent commands of this node, because heartbeats must not wait behind thousands of others. */

/** Upper bound of the concurrent scripts of one kind. */
const AT_ONCE = 50;

/** Runs an action for all items, with bounded concurrency. */
export async function atOnce<Item>(
  items: Iterable<Item>,
  action: (item: Item) => Promise<unknown>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  const run = async () => {
    for (let next = iterator.next(); !next.done; next = iterator.next()) await action(next.value);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, run));
}

/** A queue that runs actions with bounded concurrency. */
export class Queue {
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  async run<Result>(action: () => Promise<Result>): Promise<Result> {
    if (this.#running >= AT_ONCE) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#running++;
    try {
      return await action();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
