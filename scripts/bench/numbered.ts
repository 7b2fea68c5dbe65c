/** Numbered messages: written into an existing frame, and checked byte by byte on arrival. */

import { deepStrictEqual } from "node:assert/strict";
import { clientFrame, MASKING_KEY, OPCODE } from "./frames.ts";
import { type Message, NUMBER } from "./messages.ts";

/** A number contains the sender's index and the count of its messages. */
export const NUMBERS_PER_SENDER = 10_000_000;

/** A text frame whose number can be changed. */
export class NumberedFrame {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #payloadStart: number;
  readonly #place: number;

  /** @param text with {@link NUMBER} once in it */
  constructor(text: string) {
    const payload = new TextEncoder().encode(text);
    this.#bytes = clientFrame(OPCODE.TEXT, payload);
    this.#payloadStart = this.#bytes.length - payload.length;
    this.#place = placeOf(NUMBER, text);
  }

  /** The frame with `number` in it; the next call changes the same bytes. */
  with(number: number): Uint8Array<ArrayBuffer> {
    let rest = number;
    for (let at = this.#place + NUMBER.length - 1; at >= this.#place; at--) {
      this.#bytes[this.#payloadStart + at] = (DIGIT_0 + rest % 10) ^ MASKING_KEY[at % 4]!;
      rest = Math.floor(rest / 10);
    }
    return this.#bytes;
  }
}

/**
 * Checks each message that arrives. The first one of each sender is parsed, and shows how this server writes it: where
 * it puts `from`. Every byte of the later ones is compared with it.
 */
export class Inspector {
  readonly #message: Message;
  readonly #senderIds: readonly string[];
  readonly #received: (message: Message, senderId: string) => Message;
  readonly #samples: Uint8Array[] = [];
  #place: number | undefined;

  /**
   * @param message as it was sent, without a target
   * @param received returns what arrives of a message, parsed
   * @param senderIds all of one length, so that the number stands at the same place for each sender
   */
  constructor(
    message: Message,
    senderIds: readonly string[],
    received: (message: Message, senderId: string) => Message = (message, from) => ({
      ...message,
      from,
    }),
  ) {
    this.#message = message;
    this.#senderIds = senderIds;
    this.#received = received;
  }

  /**
   * The number of the message in bytes `start` to `end`.
   *
   * @throws {Error} if anything else in it is not as it was sent
   */
  inspect(bytes: Uint8Array, start: number, end: number): number {
    this.#place ??= this.#findNumber(decode(bytes.subarray(start, end)));
    const number = readNumber(bytes, start + this.#place);
    const sender = Math.floor(number / NUMBERS_PER_SENDER);
    const sample = this.#samples[sender] ??= this.#learn(sender, bytes.slice(start, end));
    if (!isEqual(sample, bytes, start, end, this.#place)) {
      throw new Error(`a message came damaged: ${decode(bytes.subarray(start, end))}`);
    }
    return number;
  }

  /** Finds the number by the text before it, which is the same however a server writes JSON. */
  #findNumber(text: string): number {
    const sent = JSON.stringify(this.#message);
    const place = placeOf(NUMBER, sent);
    const lead = sent.slice(sent.lastIndexOf('"', place) + 1, place);
    return placeOf(lead, text) + lead.length;
  }

  #learn(sender: number, sample: Uint8Array): Uint8Array {
    const text = decode(sample);
    const place = this.#place!;
    const unnumbered = text.slice(0, place) + NUMBER + text.slice(place + NUMBER.length);
    const expected = this.#received(this.#message, this.#senderIds[sender]!);
    deepStrictEqual(JSON.parse(unnumbered), expected);
    return sample;
  }
}

const DIGIT_0 = 0x30;

function placeOf(part: string, text: string): number {
  const place = text.indexOf(part);
  if (place < 0 || text.includes(part, place + 1)) {
    throw new Error(`there must be one ${part} in a message, not none or two: ${text}`);
  }
  return place;
}

function readNumber(bytes: Uint8Array, start: number): number {
  let number = 0;
  for (let at = start; at < start + NUMBER.length; at++) {
    number = 10 * number + bytes[at]! - DIGIT_0;
  }
  return number;
}

/** Returns whether all but the number at `place` is equal. */
function isEqual(
  sample: Uint8Array,
  bytes: Uint8Array,
  start: number,
  end: number,
  place: number,
): boolean {
  if (end - start !== sample.length) return false;
  for (let at = 0; at < place; at++) if (sample[at] !== bytes[start + at]) return false;
  for (let at = place + NUMBER.length; at < sample.length; at++) {
    if (sample[at] !== bytes[start + at]) return false;
  }
  return true;
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
