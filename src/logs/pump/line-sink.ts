import { setImmediate } from "node:timers/promises";
import { Backoff, sleep, type WarningOfOne } from "../../base/index.js";
import type { LogFrame } from "../../docker/index.js";
import { Wakeup } from "../container-log.js";
import { LineBuffer, type BufferPool } from "./line-buffer.js";
import { LogFileGone, type LogWriter } from "./log-writer.js";
import type { ResumePoint } from "./resume-point.js";

/** How much may wait while as much is being written. */
const fullBytes = 256 * 1024;
/** From this size on a write is worth its cost, two switches of threads. */
const worthBytes = 64 * 1024;
/** How long less waits after the last write. */
const gatherMs = 10;
const firstRetryMs = 100;
const longestRetryMs = 5_000;

export interface LineSinkOptions {
  readonly writer: LogWriter;
  readonly pool: BufferPool;
  readonly signal: AbortSignal;
  readonly warning: Pick<WarningOfOne, "failed" | "recovered">;
  /** Called with lines that are in the file now. */
  readonly onWritten: (lines: LineBuffer) => void;
  /** Called when the file was removed; what waits is dropped. */
  readonly onGone: () => void;
}

/** Gathers lines while earlier ones are written, and writes them in one go. A write that fails is retried for ever. */
export class LineSink {
  private waiting: LineBuffer;
  private writing: LineBuffer;
  private draining: Promise<void> | undefined;
  private gone: LogFileGone | undefined;
  private onRoom: (() => void)[] = [];
  private writtenAtMs = -Infinity;
  private isFlushing = false;
  private gathering = new Wakeup();

  constructor(private readonly options: LineSinkOptions) {
    this.waiting = new LineBuffer(options.pool);
    this.writing = new LineBuffer(options.pool);
  }

  /** Adds lines. Wait for {@link notFull} while {@link isFull}, or memory grows. */
  add(frame: LogFrame): void {
    this.waiting.add(frame);
    if (this.waiting.sizeBytes >= worthBytes) this.gathering.wake();
    if (this.draining || this.gone || this.waiting.sizeBytes === 0) return;
    this.draining = this.drain();
  }

  get isFull(): boolean {
    return this.waiting.sizeBytes >= fullBytes;
  }

  /** Resolves when more may be added. @throws LogFileGone. */
  async notFull(): Promise<void> {
    while (this.isFull && !this.gone && !this.options.signal.aborted) {
      await new Promise<void>((resolve) => this.onRoom.push(resolve));
    }
    if (this.gone) throw this.gone;
  }

  /** Resolves when everything added is in the file, or the signal has aborted. @throws LogFileGone. */
  async flushed(): Promise<void> {
    this.isFlushing = true;
    this.gathering.wake();
    while (this.draining) await this.draining;
    this.isFlushing = false;
    if (this.gone) throw this.gone;
  }

  /** Flushes, and finds the last entry in the file. @throws LogFileGone; Node's error. */
  async resumePoint(): Promise<ResumePoint | undefined> {
    await this.flushed();
    return await this.options.writer.resumePoint();
  }

  /** True after LogFileGone, until {@link recover}. */
  isGone(): boolean {
    return this.gone !== undefined;
  }

  /** Drops what waits and opens the file again. @throws Node's error. */
  async recover(): Promise<void> {
    this.waiting.clear();
    await this.options.writer.recover();
    this.gone = undefined;
  }

  private async drain(): Promise<void> {
    // What is added in the same turn of the event loop goes into the same write.
    await setImmediate();
    try {
      while (this.waiting.sizeBytes > 0 && !this.options.signal.aborted) {
        await this.gather();
        [this.waiting, this.writing] = [this.writing, this.waiting];
        this.admit();
        const isWritten = await this.writeAll(this.writing.lines());
        if (isWritten) this.options.onWritten(this.writing);
        this.writing.clear();
        this.writtenAtMs = performance.now();
      }
    } catch (error) {
      if (!(error instanceof LogFileGone)) throw error;
      this.gone = error;
      this.writing.clear();
      this.options.onGone();
    } finally {
      this.draining = undefined;
      this.admit();
    }
  }

  /** Waits for more lines when there was a write just now; a line after a pause is written at once. */
  private async gather(): Promise<void> {
    const restMs = this.writtenAtMs + gatherMs - performance.now();
    if (restMs <= 0 || this.isFlushing || this.waiting.sizeBytes >= worthBytes) return;
    this.gathering = new Wakeup();
    await this.gathering.sleep(restMs);
  }

  /** @returns False when it was aborted. */
  private async writeAll(lines: Buffer): Promise<boolean> {
    const { writer, signal, warning } = this.options;
    let backoff: Backoff | undefined;
    let written = 0;
    while (written < lines.length && !signal.aborted) {
      try {
        const taken = await writer.write(written === 0 ? lines : lines.subarray(written));
        written += taken;
        if (taken > 0) {
          warning.recovered();
          backoff?.reset();
          continue;
        }
        warning.failed(new Error("ENOSPC: not even one line could be written"));
      } catch (error) {
        if (error instanceof LogFileGone) throw error;
        warning.failed(error);
      }
      backoff ??= new Backoff(firstRetryMs, longestRetryMs);
      await sleep(backoff.next(), signal).catch(() => undefined);
    }
    return written >= lines.length;
  }

  private admit(): void {
    for (const resolve of this.onRoom.splice(0)) resolve();
  }
}
