/** Finds out how many files and sockets the process may have open: nothing in the runtime tells. */

/** What the process needs beside its connections: listeners, logs, Redis, and new connections that are refused. */
const SPARE_FILES = 64;
/** Beyond it the search would take longer than the answer is worth. */
const MAX_PROBED_FILES = 20_000;

/**
 * The limit of open files, where it is below what `connections` of them need; null where it suffices. Found by opening one
 * file again and again, before anything else has to be opened.
 */
export function findFileLimit(connections: number, open: () => Disposable): number | null {
  const needed = Math.min(connections + SPARE_FILES, MAX_PROBED_FILES);
  const files: Disposable[] = [];
  try {
    while (files.length < needed) files.push(open());
    return null;
  } catch {
    return files.length || null; // none at all: that has another reason, such as a program that may not be read
  } finally {
    for (const file of files) file[Symbol.dispose]();
  }
}
