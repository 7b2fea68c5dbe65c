// @ts-check
/** The last ten minutes: the server counts since its start, and this turns the counts into rates. */

const MAX_POINTS = 600;
/** Rates are averages over five samples; over one they would jump too much to read. */
const SAMPLES_PER_RATE = 5;

/**
 * @typedef {object} Sample as `/api/overview` gives it
 * @property {number} time_ms
 * @property {number} connections
 * @property {number} clients
 * @property {number} kept_messages
 * @property {number} waiting_bytes
 * @property {number} memory_bytes
 * @property {number} cpu_seconds
 * @property {number} opened
 * @property {number} messages
 * @property {number} deliveries
 * @property {number} errors
 */

/**
 * @typedef {object} Point
 * @property {number} timeMs
 * @property {number} connections
 * @property {number} clients
 * @property {number} keptMessages
 * @property {number} waitingBytes
 * @property {number} memoryBytes
 * @property {number} cpuShare of one core
 * @property {number} opened connections a second
 * @property {number} messages a second, from clients
 * @property {number} deliveries a second
 * @property {number} errors a second
 */

export class Timeline {
  /** @type {Point[]} */
  #points = [];
  /** @type {Sample[]} the samples that the next rates start from */
  #recent = [];
  #startedAt = "";
  #taken = 0;

  /** @returns {readonly Point[]} the oldest first */
  get points() {
    return this.#points;
  }

  /** Number of samples that the server has sent, so that a request asks only for newer ones. */
  get taken() {
    return this.#taken;
  }

  /**
   * Adds samples in order.
   *
   * @param {string} startedAt differs after a restart of the server
   * @param {number} taken
   * @param {readonly Sample[]} samples
   */
  add(startedAt, taken, samples) {
    if (startedAt !== this.#startedAt) {
      this.#recent = []; // a restarted server counts from zero
      this.#startedAt = startedAt;
    }
    this.#taken = taken;
    for (const sample of samples) {
      const [before] = this.#recent;
      if (before !== undefined) this.#points.push(toPoint(before, sample));
      this.#recent.push(sample);
      if (this.#recent.length > SAMPLES_PER_RATE) this.#recent.shift();
    }
    this.#points.splice(0, this.#points.length - MAX_POINTS);
  }
}

/**
 * @param {Sample} before
 * @param {Sample} sample
 * @returns {Point}
 */
function toPoint(before, sample) {
  const seconds = Math.max(sample.time_ms - before.time_ms, 1) / 1000;
  return {
    timeMs: sample.time_ms,
    connections: sample.connections,
    clients: sample.clients,
    keptMessages: sample.kept_messages,
    waitingBytes: sample.waiting_bytes,
    memoryBytes: sample.memory_bytes,
    cpuShare: (sample.cpu_seconds - before.cpu_seconds) / seconds,
    opened: (sample.opened - before.opened) / seconds,
    messages: (sample.messages - before.messages) / seconds,
    deliveries: (sample.deliveries - before.deliveries) / seconds,
    errors: (sample.errors - before.errors) / seconds,
  };
}
