import { Backoff, isKind, messageOf, settlesWithin, ShimError, type WarningOfOne } from "../../base/index.js";
import {
  Wakeup,
  type ContainerLog,
  type Describe,
  type LogContext,
  type LogTarget,
} from "../container-log.js";
import { DockerLog, phaseOf, type Phase } from "./docker-log.js";
import { LineSink } from "./line-sink.js";
import { LogCopier } from "./log-copier.js";
import { LogFileGone, type LogWriter } from "./log-writer.js";

const firstRetryMs = 25;
const longestRetryMs = 5_000;
/** For a container that another program starts: docker-cri reports its own starts. */
const firstPollMs = 200;
const longestPollMs = 10_000;
/** How long the report of a container's end may come after the end of its stream. */
const endReportMs = 100;
/** How long the stream of an ended container may take to end by itself. */
const streamEndMs = 500;
/** How long a pump that is stopped may write what it has read. */
const stopMs = 500;
const nanosPerMs = 1_000_000n;

/** Copies the log of one container from Docker into its file, from its first line to its last. */
export class Pump implements ContainerLog {
  readonly complete: Promise<void>;
  isComplete = false;
  private readonly stopped = new AbortController();
  private readonly source: DockerLog;
  private readonly sink: LineSink;
  private readonly copier: LogCopier;
  private readonly running: Promise<void>;
  private readonly warning: WarningOfOne;
  private readonly writeWarning: WarningOfOne;
  private markComplete: () => void = () => undefined;
  private readonly wakeup = new Wakeup();
  private hasEnded = false;
  private endTimer: NodeJS.Timeout | undefined;

  /**
   * @param isNew The container is about to be started: wait until it is.
   * @param onGone Called when the container was removed.
   */
  constructor(
    private readonly context: LogContext,
    { id, logPath: path, container }: LogTarget,
    private readonly writer: LogWriter,
    private readonly isNew: boolean,
    private readonly onGone: () => void,
  ) {
    const { docker, pool, warnings } = context;
    const { signal } = this.stopped;
    this.complete = new Promise((resolve) => (this.markComplete = resolve));
    this.warning = warnings.reading.of(id, { path });
    this.writeWarning = warnings.writing.of(id, { path });
    this.source = new DockerLog(id, docker, signal, container);
    this.sink = new LineSink({
      writer,
      pool,
      signal,
      onWritten: (lines) => {
        context.onWrite?.({
          lines: lines.count,
          bytes: lines.sizeBytes,
          lagSeconds: Math.max(0, Date.now() - Number(lines.lastNanos / nanosPerMs)) / 1_000,
        });
      },
      warning: this.writeWarning,
      onGone: () => {
        this.copier.cut();
      },
    });
    this.copier = new LogCopier(context, this.source, this.sink, signal);
    this.running = this.run();
  }

  started(describe?: Describe): Promise<void> {
    void this.begin(describe);
    return Promise.resolve();
  }

  ended(): void {
    this.hasEnded = true;
    this.wakeup.wake();
    this.copier.hurry();
    if (this.isComplete || this.endTimer) return;
    this.endTimer = setTimeout(() => {
      this.endTimer = undefined;
      this.copier.cut();
    }, streamEndMs);
  }

  async reopen(): Promise<void> {
    if (this.isComplete) {
      const text = `container ${this.source.id} has ended and its log is complete: there is nothing more to write`;
      throw new ShimError("failed-precondition", text);
    }
    await this.writer.reopen();
  }

  async stop(): Promise<void> {
    const { signal } = this.stopped;
    this.copier.cut();
    await settlesWithin(stopMs, this.sink.flushed(), signal);
    this.stopped.abort();
    this.wakeup.wake();
    await this.running;
  }

  private async begin(describe: Describe | undefined): Promise<void> {
    this.source.startedAs = await describe?.();
    this.wakeup.wake();
  }

  private async run(): Promise<void> {
    const backoff = new Backoff(firstRetryMs, longestRetryMs);
    let phase: Phase = this.isNew ? "created" : "running";
    while (!this.isStopped() && !this.isComplete) {
      const beganAt = performance.now();
      let next: Phase | "again" | "failed";
      try {
        next = phase === "created" ? await this.untilStarted() : await this.copyUntilEnd(phase);
        this.warning.recovered();
      } catch (error) {
        next = this.afterFailure(error);
      }
      if (next === "ended" || next === "created") phase = next;
      else if (phase === "created" && next === "running") phase = next;
      else if (next !== "again") await this.rest(backoff, beganAt);
    }
    clearTimeout(this.endTimer);
    await this.writer.close().catch((error: unknown) => {
      this.writeWarning.failed(error);
    });
    this.warning.forget();
    this.writeWarning.forget();
  }

  /** Copies until the stream ends. @returns The container's phase then. */
  private async copyUntilEnd(phase: "running" | "ended"): Promise<Phase | "again"> {
    if (this.sink.isGone()) await this.sink.recover();
    await this.copier.catchUp({ whole: phase === "ended" });
    if (this.isStopped()) return phase;
    if (phase === "ended") {
      this.finish();
      return phase;
    }
    const end = await this.copier.follow();
    if (end !== "ended" || this.sink.isGone()) return "again";
    // The report of the end is about to come. Docker is busy with the container now: an inspect would be slow.
    if (!this.hasEnded) await this.wakeup.sleep(endReportMs);
    return this.hasEnded ? "ended" : await this.source.phase();
  }

  private async untilStarted(): Promise<Phase> {
    const backoff = new Backoff(firstPollMs, longestPollMs);
    let phase: Phase = "created";
    while (phase === "created" && !this.isStopped()) {
      await this.wakeup.sleep(backoff.next());
      const { startedAs } = this.source;
      if (!this.isStopped()) phase = startedAs ? phaseOf(startedAs) : await this.source.phase();
    }
    return phase;
  }

  private afterFailure(error: unknown): "again" | "failed" {
    if (error instanceof LogFileGone || this.isStopped()) return "again";
    const { log } = this.context;
    const container = this.source.id;
    if (isKind(error, "not-found")) {
      log.debug({ container }, "the container was removed, and with it the rest of its log");
      this.finish();
      this.onGone();
    } else if (isKind(error, "unsupported")) {
      const text = "the container's log driver cannot be read: its log stays empty";
      log.warn({ container, err: messageOf(error) }, text);
      this.finish();
    } else this.warning.failed(error);
    return "failed";
  }

  private finish(): void {
    this.isComplete = true;
    this.markComplete();
  }

  /** Waits before a retry, longer after each quick failure. */
  private async rest(backoff: Backoff, beganAt: number): Promise<void> {
    if (this.isComplete) return;
    if (performance.now() - beganAt > longestRetryMs) backoff.reset();
    await this.wakeup.sleep(backoff.next());
  }

  private isStopped(): boolean {
    return this.stopped.signal.aborted;
  }
}
