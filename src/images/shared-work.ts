import { abortError, longestTimerMs, onAbort, ShimError } from "../base/index.js";

interface Shared<T> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  callers: number;
  lingerTimer: NodeJS.Timeout | undefined;
}

/**
 * Shares running work between calls with the same key. A cancelled call fails at once without effect on the others. After
 * the last call was cancelled the work continues for `lingerMs`, so that a retry can join it, and is then aborted.
 */
export class SharedWork<T> {
  private readonly running = new Map<string, Shared<T>>();

  /**
   * @param operation For errors.
   * @param lingerMs How long work without callers continues.
   * @param onUnobservedError Receives the error of work without callers.
   */
  constructor(
    private readonly operation: string,
    private readonly lingerMs: number,
    private readonly onUnobservedError: (error: unknown) => void,
  ) {}

  /**
   * Starts `work`, or joins it.
   * @param signal Cancels this call only.
   * @throws ShimError "cancelled" or "deadline-exceeded" as soon as `signal` aborts; else the error of the work.
   */
  join(key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (signal.aborted) return Promise.reject(abortError(this.operation, signal.reason));
    const shared = this.running.get(key) ?? this.begin(key, work);
    shared.callers++;
    clearTimeout(shared.lingerTimer);
    return new Promise<T>((resolve, reject) => {
      const removeListener = onAbort(signal, () => {
        this.leave(key, shared);
        reject(abortError(this.operation, signal.reason));
      });
      void shared.result.then(resolve, reject).finally(removeListener);
    });
  }

  private begin(key: string, work: (signal: AbortSignal) => Promise<T>): Shared<T> {
    const controller = new AbortController();
    const result = work(controller.signal);
    const shared: Shared<T> = { result, controller, callers: 0, lingerTimer: undefined };
    this.running.set(key, shared);
    result
      .catch((error: unknown) => {
        if (shared.callers === 0) this.onUnobservedError(error);
      })
      .finally(() => {
        clearTimeout(shared.lingerTimer);
        this.forget(key, shared);
      });
    return shared;
  }

  private leave(key: string, shared: Shared<T>): void {
    shared.callers--;
    if (shared.callers > 0 || this.running.get(key) !== shared) return;
    shared.lingerTimer = setTimeout(
      () => {
        // Before the abort, so that the next call starts new work.
        this.forget(key, shared);
        shared.controller.abort(
          new ShimError("cancelled", `${this.operation}: no caller for ${this.lingerMs} ms`),
        );
      },
      Math.min(this.lingerMs, longestTimerMs),
    );
  }

  private forget(key: string, shared: Shared<T>): void {
    if (this.running.get(key) === shared) this.running.delete(key);
  }
}
