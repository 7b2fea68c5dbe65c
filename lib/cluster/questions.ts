/** Questions to Redis whose answers come on the node's own channel, in line with all else that is decided there. */

import type { AnswerMessage } from "./messages.ts";

/** Is told the answer, or null where there will be none. */
type Listener = (answer: AnswerMessage | null) => void;

export class Questions {
  readonly #open = new Map<number, Listener>();
  #count = 0;

  /**
   * Asks. Resolves once the answer has been heard, and rejects with what the listener throws.
   *
   * @param put puts the question with this number; `late` or a rejection says that there will be no answer
   * @param listen is called at once when the answer comes, before anything that comes after it
   */
  ask(put: (question: number) => Promise<unknown>, listen: Listener): Promise<void> {
    const question = ++this.#count;
    return new Promise((resolve, reject) => {
      this.#open.set(question, (answer) => {
        this.#open.delete(question);
        try {
          listen(answer);
          resolve();
        } catch (error) {
          reject(error);
        }
      });
      put(question).catch(() => "late").then((reply) => {
        if (reply === "late") this.#open.get(question)?.(null);
      });
    });
  }

  /** An answer has come. */
  answer(message: AnswerMessage): void {
    this.#open.get(message.question)?.(message);
  }

  /** No answers will come any more to what has been asked. */
  giveUp(): void {
    for (const listener of [...this.#open.values()]) listener(null);
  }
}
