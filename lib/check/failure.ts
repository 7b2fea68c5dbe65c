/** Failure of a step of the check. */

/** Says what is wrong, what the likely reason is, and what to do. */
export class Failure extends Error {}

/** Quotes what another program has sent: one line, bounded, without control and format characters. */
export function quote(text: string): string {
  return JSON.stringify(text.replaceAll(/[\p{C}\s]+/gu, " ").trim().slice(0, MAX_QUOTED_CHARS));
}

const MAX_QUOTED_CHARS = 200;

/** Shows a URL without credentials, query and fragment: they may hold secrets. */
export function showUrl({ protocol, host, pathname, search }: URL): string {
  return `${protocol}//${host}${pathname}${search && "?…"}`;
}
