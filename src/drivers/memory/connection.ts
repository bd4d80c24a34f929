import { setImmediate as turn } from "node:timers/promises";
import { abortError, onAbort, ShimError, sleep, withDeadline, type CallOptions } from "../../base/index.js";
import type { MemoryEngine } from "./engine.js";
import type { DockerMethod, Fault } from "./faults.js";

/** The default limit of a call. */
const defaultDeadlineMs = 120_000;

/** The subject and limits of a call. */
export interface CallSubject {
  /** Whether a fault for `id` applies to this call. */
  readonly matches?: (id: string) => boolean;
  /** The default limit, in milliseconds. */
  readonly deadlineMs?: number;
  /** Once sent, the call is not aborted with its caller. */
  readonly uncut?: boolean;
}

/**
 * One client's connection to the engine. It counts every call, applies its fault, and ends it with its deadline, its
 * signal, the engine's stop or the connection's close.
 */
export class Connection {
  private closed = false;
  private readonly open = new Map<AbortController, DockerMethod>();

  constructor(readonly engine: MemoryEngine) {}

  /** Runs one call. `effect` is the engine's work; it continues when the caller stops waiting. */
  async call<T>(
    method: DockerMethod,
    options: CallOptions | undefined,
    subject: CallSubject,
    effect: () => T | Promise<T>,
  ): Promise<T> {
    const leave = this.begin(method);
    const { controller, release } = this.join(method, options?.signal, subject.uncut);
    const limit = options?.deadlineMs ?? subject.deadlineMs ?? defaultDeadlineMs;
    try {
      return await withDeadline(method, { signal: controller.signal, deadlineMs: limit }, async (signal) => {
        await turn();
        if (!subject.uncut) throwIfAborted(method, signal);
        this.assertUp(method);
        const fault = this.engine.faults.take(method, subject.matches ?? isNobody);
        const cut = subject.uncut ? this.engine.life : signal;
        if (fault && !fault.after) await strike(method, fault, cut);
        this.assertUp(method);
        const result = await effect();
        if (fault?.after) await strike(method, fault, cut);
        return result;
      });
    } finally {
      release();
      leave();
    }
  }

  /**
   * Runs one call with a stream as its answer; it counts as open until its iteration ends.
   * @param source The items; it must end soon after its signal aborts.
   */
  async *stream<T>(
    method: DockerMethod,
    options: CallOptions | undefined,
    subject: CallSubject,
    source: (signal: AbortSignal) => AsyncIterable<T>,
  ): AsyncGenerator<T> {
    const leave = this.begin(method);
    const done = this.engine.calls.open(method);
    const { controller, release } = this.join(method, options?.signal);
    const { signal } = controller;
    const unlisten = onAbort(signal, done);
    const limit = setLimit(method, options?.deadlineMs, controller);
    try {
      await turn();
      throwIfAborted(method, signal);
      this.assertUp(method);
      const fault = this.engine.faults.take(method, subject.matches ?? isNobody);
      if (fault && !fault.after) await strike(method, fault, signal);
      for await (const item of source(signal)) {
        throwIfAborted(method, signal);
        yield item;
        throwIfAborted(method, signal);
      }
      throwIfAborted(method, signal);
      if (fault?.after) await strike(method, fault, signal);
    } finally {
      clearTimeout(limit);
      unlisten();
      release();
      done();
      leave();
    }
  }

  /**
   * Counts a hijacked connection as open.
   * @param destroy Called when the engine stops, the connection closes, or a test breaks streams.
   * @returns To be called when it has ended.
   */
  hold(method: DockerMethod, destroy: (error: ShimError) => void): () => void {
    const done = this.engine.calls.open(method);
    const { controller, release } = this.join(method, undefined);
    const unlisten = onAbort(controller.signal, () => {
      destroy(abortError(method, controller.signal.reason));
    });
    return () => {
      unlisten();
      release();
      done();
    };
  }

  /** Ends calls and streams under way with an error. */
  breakOff(errorOf: (method: DockerMethod) => ShimError, isMeant: (method: DockerMethod) => boolean): void {
    for (const [controller, method] of [...this.open]) if (isMeant(method)) controller.abort(errorOf(method));
  }

  close(): void {
    this.closed = true;
    this.breakOff(
      (method) => closedError(method),
      () => true,
    );
  }

  /** @throws ShimError "unavailable" when the connection is closed or the daemon is down. */
  private assertUp(method: DockerMethod): void {
    if (this.closed) throw closedError(method);
    if (!this.engine.up) throw daemonDown(method);
  }

  private begin(method: DockerMethod): () => void {
    this.engine.calls.add(method);
    return this.engine.calls.enter();
  }

  /** A signal that aborts with the caller's, and when the engine stops. */
  private join(method: DockerMethod, outer: AbortSignal | undefined, uncut = false) {
    const controller = new AbortController();
    // Even a call that is not aborted with its caller does not start after the abort.
    const unlisten = onAbort(uncut && !outer?.aborted ? undefined : outer, () => {
      controller.abort(abortError(method, outer?.reason));
    });
    this.open.set(controller, method);
    const release = () => {
      unlisten();
      this.open.delete(controller);
    };
    return { controller, release };
  }
}

function throwIfAborted(operation: string, signal: AbortSignal): void {
  if (signal.aborted) throw abortError(operation, signal.reason);
}

function isNobody(): boolean {
  return false;
}

/** The error of calls while the daemon is down. */
export function daemonDown(operation: string): ShimError {
  return new ShimError("unavailable", `${operation}: Docker does not answer; is the daemon running?`, {
    operation,
  });
}

function closedError(operation: string): ShimError {
  return new ShimError("unavailable", `${operation}: this connection to Docker was closed`, { operation });
}

function setLimit(
  operation: string,
  deadlineMs: number | undefined,
  controller: AbortController,
): NodeJS.Timeout | undefined {
  if (deadlineMs === undefined) return undefined;
  return setTimeout(() => {
    const message = `${operation}: not at its end within ${deadlineMs} ms`;
    controller.abort(new ShimError("deadline-exceeded", message, { operation }));
  }, deadlineMs);
}

/** Applies a fault to a call. */
async function strike(operation: string, fault: Fault, signal: AbortSignal): Promise<void> {
  if (fault.delayMs !== undefined) await sleep(fault.delayMs, signal);
  while (fault.hang) await sleep(2 ** 31 - 1, signal);
  if (!fault.error) return;
  throw new ShimError(
    fault.error,
    fault.message ?? `${operation}: failed as the test asked (${fault.error})`,
    {
      operation,
      cause: fault.cause,
    },
  );
}
