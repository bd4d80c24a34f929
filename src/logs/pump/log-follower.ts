import { setImmediate } from "node:timers/promises";
import { onAbort, sleep } from "../../base/index.js";
import type { LogFrame } from "../../docker/index.js";
import type { DockerLog } from "./docker-log.js";
import type { LineSink } from "./line-sink.js";
import { containsEntry, type ResumeFilter } from "./resume-point.js";
import type { RotationWatch } from "./rotation-watch.js";

/**
 * `ended`: Docker ended the stream, or it was cut. `missed`: the place to resume at was not in it. `rotated`: Docker's
 * follow may have gone wrong at a rotation; everything up to there was copied.
 */
export type FollowEnd = "ended" | "missed" | "rotated";

const silenceMs = 5_000;
const graceMs = 500;
const framesPerTurn = 512;

/** Follows Docker's log, one stream at a time. */
export class LogFollower {
  private current: AbortController | undefined;
  /** False once a check has ended a follow and the next one was silent, too. */
  private mayBeStuck = true;
  private readonly ending = new AbortController();

  constructor(
    private readonly source: DockerLog,
    private readonly sink: LineSink,
    private readonly rotations: RotationWatch,
    private readonly signal: AbortSignal,
  ) {}

  /** Ends the present follow. */
  cut(): void {
    this.current?.abort();
  }

  /** Stops gathering lines: the end is near. */
  hurry(): void {
    this.ending.abort();
  }

  /**
   * Copies what the filter selects, until the stream ends or must be opened anew.
   * @param tailLines How many old entries to begin with; all when undefined.
   */
  async run(filter: ResumeFilter, tailLines?: number): Promise<FollowEnd> {
    const { source, rotations } = this;
    const current = (this.current = new AbortController());
    const { signal } = current;
    const unlisten = onAbort(this.signal, () => {
      current.abort();
    });
    const stream = new FollowedStream(this.sink, filter, tailLines);
    const stopWatching = this.mayBeStuck ? this.watchSilence(stream, current) : undefined;
    const options = { follow: true, gatherUntil: this.ending.signal, signal, ...tailOption(tailLines) };
    try {
      await rotations.begin();
      for await (const batch of await source.read(options)) {
        for (const frame of batch) {
          if (rotations.isSuspect(frame) && filter.hasResumed && (await rotations.isAfterRotation(frame)))
            return "rotated";
          if (!stream.add(frame) && !(await stream.mayContinue())) return "missed";
        }
      }
      return "ended";
    } catch (error) {
      if (!signal.aborted) throw error;
      return "ended";
    } finally {
      if (stream.hasCopied) this.mayBeStuck = true;
      stopWatching?.();
      unlisten();
      this.current = undefined;
    }
  }

  /**
   * Ends a follow that is silent while Docker's log has more: engines before 23 lose their file when it is rotated just
   * as a follow begins, or twice in a row. The first silence, and each silence after a rotation, is checked once.
   */
  private watchSilence(stream: FollowedStream, current: AbortController): () => void {
    let seen = -1;
    let checkedAt = -1;
    const check = async () => {
      const isSilent = stream.frames === seen;
      seen = stream.frames;
      if (!isSilent || checkedAt === seen) return;
      const isFirst = checkedAt < 0;
      checkedAt = seen;
      if (!isFirst && !(await this.rotations.hasRotated())) return;
      if (!(await this.isStuck(stream, current.signal))) return;
      this.mayBeStuck = false;
      current.abort();
    };
    const timer = setInterval(() => {
      // A check that fails decides nothing; Docker's failures show in the stream itself.
      check().catch(() => undefined);
    }, silenceMs);
    timer.unref();
    return () => {
      clearInterval(timer);
    };
  }

  private async isStuck(stream: FollowedStream, signal: AbortSignal): Promise<boolean> {
    const { frames } = stream;
    let newest: LogFrame | undefined;
    for await (const batch of await this.source.read({ tailLines: 1, follow: false, signal })) {
      newest = batch.at(-1) ?? newest;
    }
    if (!newest) return false;
    await sleep(graceMs, signal);
    const point = await this.sink.resumePoint();
    return stream.frames === frames && !(point && containsEntry(newest, point.entry));
  }
}

export function tailOption(tailLines: number | undefined): { readonly tailLines?: number } {
  return tailLines === undefined ? {} : { tailLines };
}

/** The state of one follow. */
class FollowedStream {
  frames = 0;
  hasCopied = false;

  constructor(
    private readonly sink: LineSink,
    private readonly filter: ResumeFilter,
    private readonly tailLines: number | undefined,
  ) {}

  /** Adds a frame. @returns False when {@link mayContinue} must be called before the next. */
  add(frame: LogFrame): boolean {
    const selected = this.filter.select(frame);
    this.frames++;
    if (selected) {
      this.sink.add(selected);
      this.hasCopied = true;
    }
    return !this.isMissed && !this.sink.isFull && this.frames % framesPerTurn !== 0;
  }

  /** Blocks Docker while the disk is slow. @returns False when the place to resume at is not in the stream. */
  async mayContinue(): Promise<boolean> {
    if (this.isMissed) return false;
    await this.sink.notFull();
    if (this.frames % framesPerTurn === 0) await setImmediate();
    return true;
  }

  private get isMissed(): boolean {
    const { filter, tailLines, frames } = this;
    if (filter.hasResumed) return false;
    return filter.isAmbiguous || (tailLines !== undefined && frames >= tailLines);
  }
}
