import { ShimError } from "./errors.js";
import { onAbort } from "./on-abort.js";

/** Node's timers hold 31 bits: a longer wait would end at once. */
export const longestTimerMs = 2 ** 31 - 1;

/** The limits of one call. */
export interface CallOptions {
  /** Ends the call; its promise then rejects with a `cancelled` or `deadline-exceeded` {@link ShimError}. */
  readonly signal?: AbortSignal | undefined;
  /** The call's own limit in milliseconds; each method has a default. */
  readonly deadlineMs?: number | undefined;
}

/**
 * Runs `work` with a signal that aborts when `options.signal` does or when the deadline has passed, whichever
 * is first, and leaves no timer or listener behind. `work` is expected to settle soon after the abort; the
 * returned promise rejects at once all the same.
 *
 * Not `AbortSignal.timeout`: its timer does not keep the process alive, and its reason is no ShimError. Not
 * `AbortSignal.any`: on Node 20 each use leaks 60 bytes for as long as the longest-lived of its signals lives.
 * @param options.timeoutText The message of "deadline-exceeded", where it can say more than the operation's name.
 * @throws ShimError "deadline-exceeded" or "cancelled"; else whatever `work` throws.
 */
export async function withDeadline<T>(
  operation: string,
  options: CallOptions & { readonly timeoutText?: string },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { signal: outer, deadlineMs } = options;
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let unlisten: (() => void) | undefined;
  const ended = new Promise<never>((_, reject) => {
    const end = (error: ShimError) => {
      // Reject before the abort, so that work that settles at the abort does not win.
      reject(error);
      controller.abort(error);
    };
    unlisten = onAbort(outer, () => {
      end(abortError(operation, outer?.reason));
    });
    if (deadlineMs !== undefined && Number.isFinite(deadlineMs)) {
      timer = setTimeout(
        () => {
          const text = options.timeoutText ?? `${operation}: no answer within ${deadlineMs} ms`;
          end(new ShimError("deadline-exceeded", text, { operation }));
        },
        Math.min(deadlineMs, longestTimerMs),
      );
    }
  });
  ended.catch(() => undefined);
  try {
    if (controller.signal.aborted) return await ended;
    return await Promise.race([work(controller.signal), ended]);
  } finally {
    clearTimeout(timer);
    unlisten?.();
  }
}

/** The error that an aborted signal stands for: its reason when that is ours, else `cancelled`. */
export function abortError(operation: string, reason: unknown): ShimError {
  if (reason instanceof ShimError) return reason;
  return new ShimError("cancelled", `${operation}: the caller disconnected`, { operation, cause: reason });
}

/**
 * Waits for `work` to settle, at most `ms` milliseconds or until `signal` aborts; `work` itself continues.
 * @returns Whether it has settled.
 */
export async function settlesWithin(
  ms: number,
  work: Promise<unknown>,
  signal?: AbortSignal,
): Promise<boolean> {
  const settled = work.then(
    () => true,
    () => true,
  );
  return await withDeadline("settlesWithin", { deadlineMs: ms, signal }, () => settled).catch(() => false);
}

/** Resolves after `ms` milliseconds, or rejects with {@link abortError} as soon as `signal` aborts. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(abortError("sleep", signal.reason));
      return;
    }
    const timer = setTimeout(() => {
      unlisten();
      resolve();
    }, ms);
    const unlisten = onAbort(signal, () => {
      clearTimeout(timer);
      reject(abortError("sleep", signal?.reason));
    });
  });
}
