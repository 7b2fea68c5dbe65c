/** Limits what this node asks of Redis at a time: heartbeats must not wait behind thousands of commands. */

/** Upper bound of the scripts of one kind under way. */
const AT_ONCE = 50;

/** Runs an action for all items, some at a time. */
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

/** A queue of actions of which some run at a time. */
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
