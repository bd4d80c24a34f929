import { abortError, onAbort } from "../base/index.js";

/**
 * Waits for `work`. When `signal` aborts it rejects at once, but `work` continues, and its result is passed to `undo`.
 * @param onFailure Receives an error of `work` or `undo` after the abort.
 */
export async function rollbackOnCancel<T>(
  signal: AbortSignal,
  work: Promise<T>,
  undo: (made: T) => Promise<void>,
  onFailure: (error: unknown) => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let cancelled = false;
    const unlisten = onAbort(signal, () => {
      cancelled = true;
      reject(abortError("create", signal.reason));
    });
    const settle = async () => {
      try {
        const made = await work;
        if (cancelled) await undo(made);
        else resolve(made);
      } catch (error) {
        if (cancelled) onFailure(error);
        else reject(error instanceof Error ? error : new Error(String(error)));
      } finally {
        unlisten();
      }
    };
    void settle();
  });
}
