/** Ledger of a rolling restart: what resuming clients sent to each other, what arrived, and how long they waited. */

interface Sent {
  /** True once a later message of the same connection to its own client came back. */
  isTaken: boolean;
  readonly sentAtMs: number;
  isDelivered: boolean;
}

export interface RollingReport {
  readonly sent: number;
  readonly delivered: number;
  /** Messages whose sender's connection was closed before the server had certainly taken them, and that did not arrive. */
  readonly lostWithConnection: number;
  /** Error messages by code. */
  readonly errors: Readonly<Record<string, number>>;
  /** Violations, a line each. */
  readonly violations: readonly string[];
  /** The longest time from the end of a connection until its client had resumed, in milliseconds. */
  readonly longestAbsenceMs: number;
  /** The longest time that a message took, in milliseconds. */
  readonly longestDelayMs: number;
}

export class RollingLedger {
  /** Messages by sender and target. */
  readonly #pairs = new Map<string, Sent[]>();
  readonly #lastOf = new Map<string, number>();
  readonly #reported = new Map<string, number>();
  readonly #errors: Record<string, number> = {};
  readonly #violations: string[] = [];
  #delivered = 0;
  #longestAbsenceMs = 0;
  #longestDelayMs = 0;

  /** Notes a message that is about to be sent, and returns its number within its pair and its record. */
  send(from: string, to: string): { readonly n: number; readonly sent: Sent } {
    const pair = `${from} to ${to}`;
    const messages = this.#pairs.get(pair) ?? [];
    this.#pairs.set(pair, messages);
    const sent = { isTaken: false, sentAtMs: performance.now(), isDelivered: false };
    return { n: messages.push(sent) - 1, sent };
  }

  receive(from: string, to: string, n: number): void {
    const pair = `${from} to ${to}`;
    const sent = this.#pairs.get(pair)?.[n];
    if (sent === undefined) return this.complain(`${pair}: message ${n} was never sent`);
    if (sent.isDelivered) return this.complain(`${pair}: message ${n} arrived twice`);
    const last = this.#lastOf.get(pair) ?? -1;
    if (n < last) this.complain(`${pair}: message ${n} arrived after ${last}`);
    this.#lastOf.set(pair, Math.max(n, last));
    sent.isDelivered = true;
    this.#delivered++;
    this.#longestDelayMs = Math.max(this.#longestDelayMs, performance.now() - sent.sentAtMs);
  }

  reported(from: string, to: string, code: string): void {
    const pair = `${from} to ${to}`;
    this.#reported.set(pair, (this.#reported.get(pair) ?? 0) + 1);
    this.#errors[code] = (this.#errors[code] ?? 0) + 1;
  }

  returned(absenceMs: number): void {
    this.#longestAbsenceMs = Math.max(this.#longestAbsenceMs, absenceMs);
  }

  complain(violation: string): void {
    this.#violations.push(violation);
  }

  /** The number of messages that the server has taken, and that neither arrived nor were reported. */
  get missing(): number {
    let missing = 0;
    for (const [pair, messages] of this.#pairs) {
      const lost = messages.filter(({ isTaken, isDelivered }) => isTaken && !isDelivered);
      missing += Math.max(0, lost.length - (this.#reported.get(pair) ?? 0));
    }
    return missing;
  }

  report(): RollingReport {
    const violations = [...this.#violations];
    let [sent, lostWithConnection] = [0, 0];
    for (const [pair, messages] of this.#pairs) {
      sent += messages.length;
      const undelivered = messages.filter(({ isDelivered }) => !isDelivered);
      const lost = undelivered.filter(({ isTaken }) => isTaken).length;
      const reported = this.#reported.get(pair) ?? 0;
      lostWithConnection += undelivered.length - lost;
      if (lost > reported) violations.push(`${pair}: ${lost} lost, ${reported} reported`);
      if (reported > undelivered.length) {
        violations.push(`${pair}: ${reported} reported, but ${undelivered.length} did not arrive`);
      }
    }
    return {
      sent,
      delivered: this.#delivered,
      lostWithConnection,
      errors: this.#errors,
      violations,
      longestAbsenceMs: this.#longestAbsenceMs,
      longestDelayMs: this.#longestDelayMs,
    };
  }
}
