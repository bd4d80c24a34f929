import { setImmediate } from "node:timers/promises";
import { formatRfc3339Nanos } from "../../base/index.js";
import type { LogContext } from "../container-log.js";
import type { DockerLog } from "./docker-log.js";
import type { LineSink } from "./line-sink.js";
import { LogFollower, tailOption, type FollowEnd } from "./log-follower.js";
import {
  isSamePoint,
  selectAll,
  SelectAfterPoint,
  SelectAfterTime,
  type ResumeFilter,
  type ResumePoint,
} from "./resume-point.js";
import { RotationWatch } from "./rotation-watch.js";

/**
 * How many entries from the end of Docker's log are searched for the resume point, in turn; at last all. Docker finds
 * its last entries at once, and decodes its whole log to find those since a time.
 */
const searchedEntries = [64, 4_096, 262_144, undefined] as const;
/** With how many old entries a follow begins, so that none is missed that came after the search. */
const followedEntries = [1_024, 8_192, 65_536, undefined] as const;
const framesPerTurn = 512;

/** Copies Docker's log into the file, each entry once, from where the file ends. */
export class LogCopier {
  private followStep = 0;
  /** The file's last entry, when Docker's log no longer has it and nothing came after it. */
  private lost: ResumePoint | undefined;
  private gaps = 0;
  private readonly follower: LogFollower;

  constructor(
    private readonly context: Pick<LogContext, "gate" | "host" | "log">,
    private readonly source: DockerLog,
    private readonly sink: LineSink,
    private readonly signal: AbortSignal,
  ) {
    const rotations = new RotationWatch(source, context.host.logFiles);
    this.follower = new LogFollower(source, sink, rotations, signal);
  }

  /**
   * Copies what Docker has now and the file has not.
   * @param options.whole Also when the file is empty, which is otherwise left to {@link follow}.
   */
  async catchUp({ whole }: { readonly whole: boolean }): Promise<void> {
    const { gate } = this.context;
    const point = await this.sink.resumePoint();
    if (point) await gate.run(() => this.resumeAfter(point));
    else if (whole) await gate.run(() => this.copy(selectAll));
    await this.sink.flushed();
  }

  /** Copies new entries until the stream ends, or another {@link catchUp} is needed. */
  async follow(): Promise<FollowEnd> {
    const { context, follower, sink, source } = this;
    const point = await sink.resumePoint();
    const tailLines = followedEntries[this.followStep];
    const end = await (!point
      ? follower.run(selectAll)
      : this.lost && isSamePoint(this.lost, point)
        ? follower.run(new SelectAfterTime(point.entry.timestampNanos))
        : follower.run(new SelectAfterPoint(point, { isWholeLog: tailLines === undefined }), tailLines));
    context.log.debug({ container: source.id, end }, "a follow of the container's log has ended");
    // The more a container logs, the more arrives between the search and the follow.
    this.followStep = end === "missed" ? Math.min(this.followStep + 1, followedEntries.length - 1) : 0;
    await sink.flushed();
    return end;
  }

  /** Stops gathering lines: the end is near. */
  hurry(): void {
    this.follower.hurry();
  }

  /** Ends the present follow. */
  cut(): void {
    this.follower.cut();
  }

  private async resumeAfter(point: ResumePoint): Promise<void> {
    if (this.lost && isSamePoint(this.lost, point)) {
      await this.copy(new SelectAfterTime(point.entry.timestampNanos));
      return;
    }
    this.lost = undefined;
    for (const tailLines of searchedEntries) {
      const filter = new SelectAfterPoint(point, { isWholeLog: tailLines === undefined });
      const entries = await this.copy(filter, tailLines);
      if (filter.hasResumed) return;
      if (tailLines !== undefined && entries < tailLines && !filter.isAmbiguous) break;
    }
    await this.resumeAfterLoss(point);
  }

  private async resumeAfterLoss(point: ResumePoint): Promise<void> {
    const { timestampNanos } = point.entry;
    const { createdAtNanos = 0n } = await this.source.container();
    const filter = new SelectAfterTime(timestampNanos);
    await this.copy(filter);
    if (!filter.hasResumed) this.lost = point;
    // An older container of the same name may have written to the file before.
    if (timestampNanos < createdAtNanos) return;
    const { firstNanos } = filter;
    const gap = {
      after: formatRfc3339Nanos(timestampNanos),
      before: firstNanos === undefined ? undefined : formatRfc3339Nanos(firstNanos),
      // Docker does not count what it rotates away.
      estimatedLines: filter.estimateMissing(),
      gapsSoFar: ++this.gaps,
    };
    this.context.log.warn(
      { container: this.source.id, ...gap },
      "Docker no longer holds the last line of the container's log file: it may have rotated lines away that " +
        "were not copied yet. Raise logs.dockerMaxSizeBytes or logs.dockerMaxFiles to avoid this",
    );
  }

  /** Copies from what Docker has now. @returns How many entries were read. */
  private async copy(filter: ResumeFilter, tailLines?: number): Promise<number> {
    const { signal, sink, source } = this;
    let entries = 0;
    for await (const batch of await source.read({ ...tailOption(tailLines), follow: false, signal })) {
      for (const frame of batch) {
        entries++;
        const selected = filter.select(frame);
        if (filter.isAmbiguous) return entries;
        if (selected) sink.add(selected);
        if (sink.isFull) await sink.notFull();
        if (entries % framesPerTurn === 0) await setImmediate();
      }
    }
    return entries;
  }
}
