import { abortError, longestTimerMs } from "./deadline.js";
import { ShimError } from "./errors.js";
import { onAbort } from "./on-abort.js";

interface Flight<T> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  callers: number;
  lingerTimer: NodeJS.Timeout | undefined;
}

/**
 * Runs one piece of work for all concurrent callers with the same key, and keeps nothing once it has ended. A cancelled
 * call fails at once without effect on the others. Work without callers continues, so that a retry can join it.
 */
export class SingleFlight<T> {
  private readonly flights = new Map<string, Flight<T>>();

  /**
   * @param operation For errors.
   * @param options.lingerMs Work without callers is aborted after this time. Default: never.
   * @param options.onUnobservedError Receives the error of work without callers.
   */
  constructor(
    private readonly operation: string,
    private readonly options: {
      readonly lingerMs?: number;
      readonly onUnobservedError?: (error: unknown) => void;
    } = {},
  ) {}

  /**
   * Starts `work`, or joins the work under way for `key`.
   * @param signal Cancels this call only.
   * @throws ShimError "cancelled" or "deadline-exceeded" as soon as `signal` aborts; else the error of the work.
   */
  run(key: string, work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted) return Promise.reject(abortError(this.operation, signal.reason));
    const flight = this.flights.get(key) ?? this.begin(key, work);
    flight.callers++;
    clearTimeout(flight.lingerTimer);
    return new Promise<T>((resolve, reject) => {
      const removeListener = onAbort(signal, () => {
        this.leave(key, flight);
        reject(abortError(this.operation, signal?.reason));
      });
      void flight.result.then(resolve, reject).finally(removeListener);
    });
  }

  /** The number of keys with work under way. */
  get size(): number {
    return this.flights.size;
  }

  private begin(key: string, work: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const controller = new AbortController();
    const result = work(controller.signal).finally(() => {
      clearTimeout(flight.lingerTimer);
      this.forget(key, flight);
    });
    const flight: Flight<T> = { result, controller, callers: 0, lingerTimer: undefined };
    this.flights.set(key, flight);
    result.catch((error: unknown) => {
      if (flight.callers === 0) this.options.onUnobservedError?.(error);
    });
    return flight;
  }

  private leave(key: string, flight: Flight<T>): void {
    const { lingerMs } = this.options;
    flight.callers--;
    if (lingerMs === undefined || flight.callers > 0 || this.flights.get(key) !== flight) return;
    flight.lingerTimer = setTimeout(
      () => {
        // Before the abort, so that the next call starts new work.
        this.forget(key, flight);
        flight.controller.abort(
          new ShimError(
            "cancelled",
            `${this.operation}: all callers disconnected more than ${lingerMs} ms ago`,
          ),
        );
      },
      Math.min(lingerMs, longestTimerMs),
    );
  }

  private forget(key: string, flight: Flight<T>): void {
    if (this.flights.get(key) === flight) this.flights.delete(key);
  }
}
