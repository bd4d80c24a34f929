import type { Message } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { longestTimerMs, messageOf, onAbort, type Logger, type ShimError } from "../base/index.js";
import type { CallContext } from "../handlers/index.js";
import { logCall } from "./call-log.js";
import type { ObservedCall } from "./call-observer.js";
import type { Endpoint } from "./endpoint.js";
import { callerGone, deadlinePassed, failureOf, saysAborted, shimErrorOf, type Failure } from "./errors.js";
import type { Hold } from "./held-bytes.js";

/** How long an aborted handler may take to return its own error. Then the caller gets the reason of the abort. */
const abandonAfterMs = 100;

const nearDeadlineMs = 50;

/**
 * One call under way: the context of its handler, its deadline and its cancellation. The signal, the logger and the
 * timers are created on first use, because most calls do not need them.
 */
export class Call implements CallContext {
  readonly startedAtMs = performance.now();
  /** The number of messages sent, for streams. */
  sent = 0;
  request: Message | undefined;
  private reason: ShimError | undefined;
  private controller: AbortController | undefined;
  private lines: Logger | undefined;
  private deadlineAtMs: number | undefined;
  private deadlineTimer: NodeJS.Timeout | undefined;
  private abandonTimer: NodeJS.Timeout | undefined;
  private abandoned = false;
  private giveUp: ((reason: ShimError) => void) | undefined;
  private unfollow: (() => void) | undefined;
  private ended = false;

  /**
   * @param parentLog The logger for the call's line.
   * @param hold The bytes of the request, released when the call ends.
   * @param onEnd Called once, when the call has succeeded or failed.
   * @param observed Is shown its steps and its end.
   */
  constructor(
    readonly endpoint: Endpoint,
    readonly id: number,
    readonly parentLog: Logger,
    readonly hold: Hold,
    private readonly onEnd: (call: Call) => void,
    private readonly observed?: ObservedCall,
  ) {}

  get signal(): AbortSignal {
    if (!this.controller) {
      this.controller = new AbortController();
      if (this.reason) this.controller.abort(this.reason);
    }
    return this.controller.signal;
  }

  get log(): Logger {
    this.lines ??= this.parentLog.child({ rpc: this.endpoint.rpc, callId: this.id });
    return this.lines;
  }

  readonly timeoutMs = (): number | undefined =>
    this.deadlineAtMs === undefined ? undefined : Math.max(0, this.deadlineAtMs - performance.now());

  /** The reason of the abort; undefined while the call is not aborted. */
  get abortReason(): ShimError | undefined {
    return this.reason;
  }

  throwIfAborted(): void {
    if (this.reason) throw this.reason;
  }

  get hasEnded(): boolean {
    return this.ended;
  }

  /** Aborts the call once `timeoutMs` have passed. */
  expireAfter(timeoutMs: number): void {
    this.deadlineAtMs = this.startedAtMs + timeoutMs;
    if (timeoutMs > longestTimerMs) return;
    this.deadlineTimer = setTimeout(() => {
      this.abort(deadlinePassed(this.endpoint.rpc));
    }, timeoutMs);
  }

  /** Aborts the call when Connect does; Connect keeps the deadline. */
  follow(signal: AbortSignal, timeoutMs: number | undefined): void {
    if (timeoutMs !== undefined) this.deadlineAtMs = this.startedAtMs + timeoutMs;
    this.unfollow = onAbort(signal, () => {
      const reason = shimErrorOf(signal.reason, this.endpoint.rpc);
      if (reason.kind === "cancelled") this.leave();
      else this.abort(reason);
    });
  }

  /** Aborts the handler, and answers without it if it does not return in time. Only the first call has an effect. */
  abort(reason: ShimError): void {
    if (this.reason || this.ended) return;
    this.reason = reason;
    this.controller?.abort(reason);
    this.abandonTimer = setTimeout(() => {
      this.abandoned = true;
      this.giveUp?.(reason);
    }, abandonAfterMs);
  }

  /**
   * Aborts the call because its caller cancelled it. A caller that gives up at its deadline resets the stream,
   * and the reset may arrive before our timer fires: that counts as the deadline.
   */
  leave(): void {
    const remainingMs = this.timeoutMs();
    const { rpc } = this.endpoint;
    this.abort(
      remainingMs !== undefined && remainingMs < nearDeadlineMs ? deadlinePassed(rpc) : callerGone(rpc),
    );
  }

  /** Runs a step of the handler, in view of the observer if there is one. */
  run<T>(work: () => T): T {
    return this.observed ? this.observed.run(work) : work();
  }

  /** The result of `work`; rejects with the reason of an abort that `work` ignores. */
  settle<T>(work: PromiseLike<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.whenAborted(reject);
      this.watch(work).then(resolve, reject);
    });
  }

  /** Registers the reaction to an abort outside of {@link Call.settle}. */
  whenAborted(giveUp: (reason: ShimError) => void): void {
    this.giveUp = giveUp;
    if (this.abandoned && this.reason) giveUp(this.reason);
  }

  /** Ends the call with a success, and logs it, unless it has ended before. */
  succeed(): void {
    if (this.ended) return;
    this.end(undefined);
    logCall(this, undefined);
  }

  /** Ends the call with an error and logs it, unless it has already ended. */
  fail(thrown: unknown): Failure {
    const failure = failureOf(thrown, this.reason);
    if (this.ended) return failure;
    this.end(failure.error.code);
    logCall(this, failure);
    return failure;
  }

  private end(code: Code | undefined): void {
    this.ended = true;
    clearTimeout(this.deadlineTimer);
    clearTimeout(this.abandonTimer);
    this.unfollow?.();
    this.hold.release();
    this.onEnd(this);
    this.observed?.end(code === undefined ? "OK" : Code[code], code ?? 0);
  }

  private async watch<T>(work: PromiseLike<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (this.abandoned) this.logLate(error);
      throw error;
    }
  }

  private logLate(error: unknown): void {
    if (error === this.reason || saysAborted(error)) return;
    this.log.warn(
      { err: error },
      `${this.endpoint.rpc} failed after its caller disconnected: ${messageOf(error)}`,
    );
  }
}
