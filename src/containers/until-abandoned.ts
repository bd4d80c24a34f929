import { abortError } from "../base/index.js";

/**
 * Waits for `work`, which goes on when the caller goes. A caller who has gone gets an error at once; what
 * `work` then makes is given to `undo`, so that nothing is left that nobody knows of.
 * @param onFailure Hears the error of a `work` or `undo` that nobody waits for.
 */
export async function untilAbandoned<T>(
  signal: AbortSignal,
  work: Promise<T>,
  undo: (made: T) => Promise<void>,
  onFailure: (error: unknown) => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let abandoned = false;
    const onAbort = () => {
      abandoned = true;
      reject(abortError("create", signal.reason));
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    const settle = async () => {
      try {
        const made = await work;
        if (abandoned) await undo(made);
        else resolve(made);
      } catch (error) {
        if (abandoned) onFailure(error);
        else reject(error instanceof Error ? error : new Error(String(error)));
      } finally {
        signal.removeEventListener("abort", onAbort);
      }
    };
    void settle();
  });
}
