import { Backoff, sleep } from "../../base/index.js";
import type { LogFrame } from "../../docker/index.js";
import type { BufferPool } from "./buffer-pool.js";
import { LineBuffer } from "./line-buffer.js";
import { LogFileGone, type LogWriter } from "./log-writer.js";
import { nextTurn } from "./next-turn.js";

/** So much may wait while as much is being written. */
const fullBytes = 256 * 1024;
/** So much is worth a write of its own; each costs two switches of threads. */
const worthBytes = 64 * 1024;
/** For how long less waits after the last write. */
const gatherMs = 10;
const firstRetryMs = 100;
const longestRetryMs = 5_000;

export interface LineSinkOptions {
  readonly writer: LogWriter;
  readonly pool: BufferPool;
  readonly signal: AbortSignal;
  /** A write failed and is tried again. */
  readonly onTrouble: (error: unknown) => void;
  readonly onWritten: () => void;
  /** The file is not there any more; what waits is dropped. */
  readonly onGone: () => void;
}

/**
 * Gathers lines while earlier ones are written, and writes them in one go. What cannot be written is tried
 * again for as long as it takes.
 */
export class LineSink {
  private waiting: LineBuffer;
  private writing: LineBuffer;
  private draining: Promise<void> | undefined;
  private gone: LogFileGone | undefined;
  private takers: (() => void)[] = [];
  private writtenAtMs = -Infinity;
  /** Somebody waits for the file to hold everything. */
  private isAwaited = false;
  private endGathering: () => void = () => undefined;

  constructor(private readonly options: LineSinkOptions) {
    this.waiting = new LineBuffer(options.pool);
    this.writing = new LineBuffer(options.pool);
  }

  /** Takes lines in. Whoever adds more while {@link isFull} uses up memory. */
  add(frame: LogFrame): void {
    this.waiting.add(frame);
    if (this.waiting.sizeBytes >= worthBytes) this.endGathering();
    if (this.draining || this.gone || this.waiting.sizeBytes === 0) return;
    this.draining = this.drain();
  }

  get isFull(): boolean {
    return this.waiting.sizeBytes >= fullBytes;
  }

  /** Resolves when more may be added. @throws LogFileGone. */
  async room(): Promise<void> {
    while (this.isFull && !this.gone && !this.options.signal.aborted) {
      await new Promise<void>((resolve) => this.takers.push(resolve));
    }
    if (this.gone) throw this.gone;
  }

  /** Resolves when all that was added is in the file, or the signal has aborted. @throws LogFileGone. */
  async flushed(): Promise<void> {
    this.isAwaited = true;
    this.endGathering();
    while (this.draining) await this.draining;
    this.isAwaited = false;
    if (this.gone) throw this.gone;
  }

  /** Drops what waits and begins anew, once the writer has recovered. */
  reset(): void {
    this.gone = undefined;
    this.waiting.clear();
  }

  private async drain(): Promise<void> {
    // What comes in the same turn goes in the same write.
    await nextTurn();
    try {
      while (this.waiting.sizeBytes > 0 && !this.options.signal.aborted) {
        await this.gathered();
        [this.waiting, this.writing] = [this.writing, this.waiting];
        this.admit();
        await this.writeAll(this.writing.lines());
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

  /** Waits a little for more to write when there was a write just now; what comes after a silence is written at once. */
  private async gathered(): Promise<void> {
    const restMs = this.writtenAtMs + gatherMs - performance.now();
    if (restMs <= 0 || this.isAwaited || this.waiting.sizeBytes >= worthBytes) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, restMs);
      this.endGathering = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  private async writeAll(lines: Buffer): Promise<void> {
    const { writer, signal, onTrouble, onWritten } = this.options;
    let backoff: Backoff | undefined;
    let written = 0;
    while (written < lines.length && !signal.aborted) {
      try {
        const taken = await writer.write(written === 0 ? lines : lines.subarray(written));
        written += taken;
        if (taken > 0) {
          onWritten();
          backoff?.reset();
          continue;
        }
        onTrouble(new Error("ENOSPC: not even one line could be written"));
      } catch (error) {
        if (error instanceof LogFileGone) throw error;
        onTrouble(error);
      }
      backoff ??= new Backoff(firstRetryMs, longestRetryMs);
      await sleep(backoff.next(), signal).catch(() => undefined);
    }
  }

  private admit(): void {
    const takers = this.takers;
    this.takers = [];
    for (const take of takers) take();
  }
}
