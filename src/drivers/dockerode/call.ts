import { abortError, longestTimerMs, onAbort, ShimError, type CallOptions } from "../../base/index.js";

/** One call to the engine: its signal, its deadline, and the error when one of them ends it. Its opener must end it. */
export class EngineCall {
  readonly #controller = new AbortController();
  readonly #ended: Promise<never>;
  #timer: NodeJS.Timeout | undefined;
  #unlisten: (() => void) | undefined;

  /** Use {@link EngineCalls.open}. */
  constructor(
    readonly operation: string,
    private readonly options: CallOptions,
    private readonly defaultMs: number | undefined,
    private readonly onEnd: (call: EngineCall) => void,
  ) {
    const { signal } = this.#controller;
    this.#ended = new Promise((_, reject) => {
      signal.addEventListener(
        "abort",
        () => {
          reject(this.reason);
        },
        { once: true },
      );
    });
    this.#ended.catch(() => undefined);
    this.#limit(options.deadlineMs ?? defaultMs);
    this.#unlisten = onAbort(options.signal, () => {
      this.fail(abortError(operation, options.signal?.reason));
    });
  }

  /** Aborts when the caller cancels, the deadline passes or the driver is closed. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Why the call was ended early. Only when `signal` has aborted. */
  get reason(): ShimError {
    return abortError(this.operation, this.signal.reason);
  }

  /** Ends the call early; the first error counts. */
  fail(error: ShimError): void {
    this.#controller.abort(error);
    this.end();
  }

  /** @throws ShimError when the call was ended early. */
  check(): void {
    if (this.signal.aborted) throw this.reason;
  }

  /** Awaits `work`, or rejects as soon as the call is ended early. */
  async guard<T>(work: Promise<T>): Promise<T> {
    return await Promise.race([work, this.#ended]);
  }

  /** From now on the caller's signal does not end the call; its deadline does. */
  commit(): void {
    this.#unlisten?.();
  }

  /** Restores the deadline before another request. */
  asked(): void {
    if (this.#timer === undefined && !this.signal.aborted) this.#limit(this.defaultMs);
  }

  /** The head of the answer has arrived: its body has no deadline, unless the caller set one. */
  answered(): void {
    if (this.options.deadlineMs !== undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Releases the timer and the listener. Idempotent. */
  end(): void {
    clearTimeout(this.#timer);
    this.#unlisten?.();
    this.onEnd(this);
  }

  #limit(ms: number | undefined): void {
    if (ms === undefined || !Number.isFinite(ms)) return;
    this.#timer = setTimeout(
      () => {
        this.fail(
          new ShimError(
            "deadline-exceeded",
            `${this.operation}: Docker did not answer within ${ms} ms; if this continues, check dockerd's log`,
            { operation: this.operation },
          ),
        );
      },
      Math.min(ms, longestTimerMs),
    );
  }
}

/** The calls under way. */
export class EngineCalls {
  readonly #open = new Set<EngineCall>();
  #closed = false;

  /**
   * @param defaultMs The limit when the caller names none; undefined for no limit.
   * @throws ShimError "unavailable" once the driver is closed.
   */
  open(operation: string, options: CallOptions = {}, defaultMs?: number): EngineCall {
    if (this.#closed) throw closedError(operation);
    const call = new EngineCall(operation, options, defaultMs, (ended) => this.#open.delete(ended));
    if (!call.signal.aborted) this.#open.add(call);
    return call;
  }

  /** Ends every call under way with `unavailable` and lets no other begin. */
  close(): void {
    this.#closed = true;
    for (const call of this.#open) call.fail(closedError(call.operation));
  }
}

export function closedError(operation: string): ShimError {
  return new ShimError("unavailable", `${operation}: docker-cri has closed its connection to Docker`, {
    operation,
  });
}
