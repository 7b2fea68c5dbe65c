/** Events for tests: ignored, or recorded. */

import type { Emit, Event } from "../../lib/events.ts";

/** Ignores all events but internal errors, which fail the test. */
export const ignoreEvents: Emit = (event) => {
  if (event.kind !== "internal_error") return;
  throw new Error(`internal error: ${event.where}`, { cause: event.error });
};

/** Records events as lines, `kind detail`, and awaits them by those. */
export class RecordedEvents {
  readonly lines: string[] = [];
  readonly #events: Event[] = [];
  readonly #waiting = new Map<string, () => void>();

  readonly emit: Emit = (event) => {
    const line = [event.kind, ...detailsOf(event)].join(" ");
    this.lines.push(line);
    this.#events.push(event);
    this.#waiting.get(line)?.();
    this.#waiting.delete(line);
  };

  /** Returns all events of a kind, in order. */
  of<Kind extends Event["kind"]>(kind: Kind): Extract<Event, { kind: Kind }>[] {
    return this.#events.filter((event): event is Extract<Event, { kind: Kind }> =>
      event.kind === kind
    );
  }

  /** Resolves once `line` has been recorded. */
  async happened(line: string): Promise<void> {
    if (this.lines.includes(line)) return;
    await new Promise<void>((resolve) => this.#waiting.set(line, resolve));
  }
}

function detailsOf(event: Event): readonly (string | number)[] {
  switch (event.kind) {
    case "registered":
    case "detached":
    case "unregistered":
    case "stored_delivered":
      return [event.client.id];
    case "sent":
    case "stored":
      return [event.from.id, event.targetId];
    case "broadcast":
      return [event.from.id, event.recipients];
    case "connection_refused":
      return [event.status];
    case "client_refused":
    case "error_sent":
      return [event.code];
    case "closing":
      return [event.reason];
    case "internal_error":
      return [event.where, String(event.error)];
    default:
      return [];
  }
}
