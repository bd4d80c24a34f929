import { onAbort, sleep } from "../../base/index.js";
import type { LogBatchOptions, LogFrame, LogOptions } from "../../docker/index.js";
import { holdsEntry } from "./anchor.js";
import type { LineSink } from "./line-sink.js";
import type { LogWriter } from "./log-writer.js";
import { nextTurn } from "./next-turn.js";
import { RotationWatch, type RotationWatchOptions } from "./rotation-watch.js";
import type { Sieve } from "./sieve.js";

/**
 * `ended`: Docker ended the stream, or it was cut. `missed`: the place to go on from was not in it. `behind`:
 * over a rotation, Docker's follow may have gone wrong; what it gave up to there is whole.
 */
export type FollowEnd = "ended" | "missed" | "behind";

/** A follow without a word for so long is silent. */
const silenceMs = 5_000;
const graceMs = 500;
const framesPerTurn = 512;

export interface FollowerOptions extends RotationWatchOptions {
  /** Reads Docker's log of the container. */
  readonly read: (options: LogBatchOptions) => Promise<AsyncIterable<readonly LogFrame[]>>;
  readonly signal: AbortSignal;
  readonly writer: LogWriter;
  readonly sink: LineSink;
}

/** Follows Docker's log, one stream at a time. */
export class Follower {
  private current: AbortController | undefined;
  /** False once a check has ended a follow and nothing came of it. */
  private mayBeStuck = true;

  private readonly rotations: RotationWatch;
  private readonly urgent = new AbortController();

  constructor(private readonly options: FollowerOptions) {
    this.rotations = new RotationWatch(options);
  }

  /** Ends the follow that is under way. */
  cut(): void {
    this.current?.abort();
  }

  /** From now on lines are not gathered: the end is near. */
  hurry(): void {
    this.urgent.abort();
  }

  /** Writes what the sieve lets through, until the stream ends or it is better to begin anew. */
  async run(options: LogOptions, sieve: Sieve): Promise<FollowEnd> {
    const { read, sink } = this.options;
    const current = (this.current = new AbortController());
    const { signal } = current;
    const unlisten = onAbort(this.options.signal, () => {
      current.abort();
    });
    const { rotations } = this;
    const gatherUntil = this.urgent.signal;
    const stream = new FollowedStream(sink, sieve, options.tailLines);
    const stopWatching = this.mayBeStuck ? this.watchSilence(stream, current) : undefined;
    try {
      await rotations.begin();
      for await (const batch of await read({ ...options, follow: true, gatherUntil, signal })) {
        for (const frame of batch) {
          if (rotations.isSuspect(frame) && sieve.isOpen && (await rotations.isAmiss(frame))) return "behind";
          if (!stream.isQuick(frame) && !(await stream.mayGoOn())) return "missed";
        }
      }
      return "ended";
    } catch (error) {
      if (!signal.aborted) throw error;
      return "ended";
    } finally {
      if (stream.hasWritten) this.mayBeStuck = true;
      stopWatching?.();
      unlisten();
      this.current = undefined;
    }
  }

  /**
   * Ends a follow that is silent while Docker's log has more: engines before 23 lose their file when it is
   * rotated just as a follow begins, or twice in a row. So each silence after a rotation is looked into once.
   */
  private watchSilence(stream: FollowedStream, current: AbortController): () => void {
    let seen = -1;
    let lookedAt = -1;
    const look = async () => {
      const isSilent = stream.frames === seen;
      seen = stream.frames;
      if (!isSilent || lookedAt === seen) return;
      const isFirst = lookedAt < 0;
      lookedAt = seen;
      if (!isFirst && !(await this.rotations.hasRotated())) return;
      if (!(await this.isStuck(stream, current.signal))) return;
      this.mayBeStuck = false;
      current.abort();
    };
    const timer = setInterval(() => {
      // A look that fails tells nothing, and Docker's failures show in the stream itself.
      look().catch(() => undefined);
    }, silenceMs);
    timer.unref();
    return () => {
      clearInterval(timer);
    };
  }

  private async isStuck(stream: FollowedStream, signal: AbortSignal): Promise<boolean> {
    const { read, sink, writer } = this.options;
    const { frames } = stream;
    let newest: LogFrame | undefined;
    for await (const batch of await read({ tailLines: 1, follow: false, signal })) {
      newest = batch.at(-1) ?? newest;
    }
    if (!newest) return false;
    await sleep(graceMs, signal);
    await sink.flushed();
    const anchor = await writer.anchor();
    return stream.frames === frames && !(anchor && holdsEntry(newest, anchor.entry));
  }
}

/** What is known of a stream while it is followed. */
class FollowedStream {
  frames = 0;
  hasWritten = false;

  constructor(
    private readonly sink: LineSink,
    private readonly sieve: Sieve,
    private readonly tailLines: number | undefined,
  ) {}

  /** Takes a frame in; false when {@link mayGoOn} must be asked before the next. */
  isQuick(frame: LogFrame): boolean {
    const { sieve, sink } = this;
    const fresh = sieve.pass(frame);
    this.frames++;
    if (fresh) {
      sink.add(fresh);
      this.hasWritten = true;
    }
    return !this.isMissed && !sink.isFull && this.frames % framesPerTurn !== 0;
  }

  /** Holds Docker back while the disk is slow. @returns False when the place to go on from is not in the stream. */
  async mayGoOn(): Promise<boolean> {
    if (this.isMissed) return false;
    await this.sink.room();
    if (this.frames % framesPerTurn === 0) await nextTurn();
    return true;
  }

  private get isMissed(): boolean {
    const { sieve, tailLines, frames } = this;
    if (sieve.isOpen) return false;
    return sieve.isDoubtful || (tailLines !== undefined && frames >= tailLines);
  }
}
