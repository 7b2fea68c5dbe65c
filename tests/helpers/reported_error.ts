/** Errors that no code catches, which otherwise end a test. */

/** Resolves to the next error that is reported to the runtime. */
export function nextReportedError(): Promise<unknown> {
  return new Promise((resolve) => {
    const onError = (event: ErrorEvent) => {
      event.preventDefault();
      resolve(event.error);
    };
    addEventListener("error", onError, { once: true });
  });
}
