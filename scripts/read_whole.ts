/** Reads a whole number from a command line. */

import { InvalidArgumentError } from "commander";

/** @throws {InvalidArgumentError} if the text is no whole number */
export function readWhole(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It takes a whole number.");
}
