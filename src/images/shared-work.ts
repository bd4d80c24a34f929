import { abortError, longestTimerMs, onAbort, ShimError } from "../base/index.js";

interface Shared<T> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  waiting: number;
  linger: NodeJS.Timeout | undefined;
}

/**
 * Work that is shared by all who ask for the same thing while it is under way. Who leaves gets an error at once
 * and ends nothing for the others; when the last one has left, the work goes on for `lingerMs`, for whoever asks
 * again, and is then ended.
 */
export class SharedWork<T> {
  private readonly running = new Map<string, Shared<T>>();

  /**
   * @param operation Stands in the errors.
   * @param lingerMs How long work goes on that nobody waits for.
   * @param unheard Told how work failed that nobody waited for.
   */
  constructor(
    private readonly operation: string,
    private readonly lingerMs: number,
    private readonly unheard: (error: unknown) => void,
  ) {}

  /**
   * Begins `work`, or joins it.
   * @param signal Of this caller alone.
   * @throws ShimError "cancelled" or "deadline-exceeded" as soon as `signal` aborts; else what the work throws.
   */
  join(key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (signal.aborted) return Promise.reject(abortError(this.operation, signal.reason));
    const shared = this.running.get(key) ?? this.begin(key, work);
    shared.waiting++;
    clearTimeout(shared.linger);
    return new Promise<T>((resolve, reject) => {
      const unlisten = onAbort(signal, () => {
        this.leave(key, shared);
        reject(abortError(this.operation, signal.reason));
      });
      void shared.result.then(resolve, reject).finally(unlisten);
    });
  }

  private begin(key: string, work: (signal: AbortSignal) => Promise<T>): Shared<T> {
    const controller = new AbortController();
    const result = work(controller.signal);
    const shared: Shared<T> = { result, controller, waiting: 0, linger: undefined };
    this.running.set(key, shared);
    result
      .catch((error: unknown) => {
        if (shared.waiting === 0) this.unheard(error);
      })
      .finally(() => {
        clearTimeout(shared.linger);
        this.forget(key, shared);
      });
    return shared;
  }

  private leave(key: string, shared: Shared<T>): void {
    shared.waiting--;
    if (shared.waiting > 0 || this.running.get(key) !== shared) return;
    shared.linger = setTimeout(
      () => {
        // Whoever asks from now on gets work that is not being ended.
        this.forget(key, shared);
        shared.controller.abort(
          new ShimError("cancelled", `${this.operation}: nobody has waited for it for ${this.lingerMs} ms`),
        );
      },
      Math.min(this.lingerMs, longestTimerMs),
    );
  }

  private forget(key: string, shared: Shared<T>): void {
    if (this.running.get(key) === shared) this.running.delete(key);
  }
}
