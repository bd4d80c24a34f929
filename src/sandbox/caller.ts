import { longestTimerMs, onAbort, ShimError } from "../base/index.js";

/** Who waits for a call's answer. */
export interface Caller {
  /** Aborts when the caller has gone. */
  readonly signal: AbortSignal;
  /** When the caller stops waiting, in milliseconds from now; undefined without a deadline. */
  readonly timeoutMs?: (() => number | undefined) | undefined;
}

const mostSpareMs = 2_000;

/**
 * Runs `work` with a signal that aborts a tenth of the time left, at most two seconds, before the caller's
 * deadline: an error that comes later is heard by nobody.
 */
export async function withinPatience<T>(
  { signal, timeoutMs }: Caller,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const leftMs = timeoutMs?.();
  if (leftMs === undefined) return work(signal);
  const deadlineMs = Math.max(0, leftMs - Math.min(mostSpareMs, leftMs / 10));
  const controller = new AbortController();
  const timer = setTimeout(
    () => {
      const text = `not done within the ${Math.round(deadlineMs)} ms that the caller waits`;
      controller.abort(new ShimError("deadline-exceeded", text));
    },
    Math.min(deadlineMs, longestTimerMs),
  );
  const unlisten = onAbort(signal, () => {
    controller.abort(signal.reason);
  });
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
    unlisten();
  }
}
