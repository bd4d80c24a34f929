import type { LogFrame } from "../../docker/index.js";
import type { LogFile } from "../../host/index.js";
import { entriesOf, linesBackward, parseEntry, type Entry } from "../log-lines.js";

/** The last entry in the log file: what Docker has up to it is written already. */
export interface ResumePoint {
  readonly entry: Entry;
  /** Its number among the equal entries before it: the parts of one line may be equal. */
  readonly occurrence: number;
}

/** Consecutive lines that are not entries, after which a file is not taken for a log. */
const mostForeignLines = 1000;
/** Parts of one line that are compared to count equal ones: 64 MiB of text. */
const mostParts = 4096;
/** Whole lines of equal text and time are at most this far apart. */
const equalLinesApart = 48;

/**
 * Finds the last entry of consecutive files, newest first; undefined when there is none. Files are read from their end,
 * and no further than needed.
 */
export async function findResumePoint(files: AsyncIterable<LogFile>): Promise<ResumePoint | undefined> {
  let last: Entry | undefined;
  let occurrence = 1;
  let foreign = 0;
  let compared = 0;
  for await (const file of files) {
    for await (const line of linesBackward(file)) {
      const entry = parseEntry(line);
      if (!entry) {
        if (++foreign > mostForeignLines) break;
      } else if (!last) {
        // Copied, or the whole block that was read would stay in memory.
        last = { ...entry, text: Buffer.from(entry.text) };
      } else {
        const isEarlier = entry.stream === last.stream && entry.timestampNanos !== last.timestampNanos;
        const isFar = ++compared > (last.partial ? mostParts : equalLinesApart);
        if (isEarlier || isFar) return { entry: last, occurrence };
        if (isEqual(entry, last)) occurrence++;
      }
    }
  }
  return last && { entry: last, occurrence };
}

export function isSamePoint(a: ResumePoint, b: ResumePoint): boolean {
  return a.occurrence === b.occurrence && isEqual(a.entry, b.entry);
}

function isEqual(a: Entry, b: Entry): boolean {
  return (
    a.timestampNanos === b.timestampNanos &&
    a.stream === b.stream &&
    a.partial === b.partial &&
    a.text.equals(b.text)
  );
}

/** True when the frame contains the entry. */
export function containsEntry(frame: LogFrame, entry: Entry): boolean {
  return endOfEntry(frame, entry, () => true) !== undefined;
}

/** The end in a frame's data of the first equal entry that `accept` takes; undefined when there is none. */
function endOfEntry(frame: LogFrame, entry: Entry, accept: () => boolean): number | undefined {
  if (frame.timestampNanos !== entry.timestampNanos || frame.stream !== entry.stream) return undefined;
  for (const { start, end, partial } of entriesOf(frame.data)) {
    const equal = partial === entry.partial && entry.text.equals(frame.data.subarray(start, end));
    if (equal && accept()) return partial ? end : end + 1;
  }
  return undefined;
}

/** Selects from Docker's log what is not in the file yet. */
export interface ResumeFilter {
  /** @returns The new part of a frame; undefined when nothing in it is new. */
  select(frame: LogFrame): LogFrame | undefined;
  /** True once the place to resume at was found. */
  readonly hasResumed: boolean;
  /** True once this reading cannot tell the place: one that begins earlier may. */
  readonly isAmbiguous: boolean;
}

/** Everything is new. */
export const selectAll: ResumeFilter = { select: (frame) => frame, hasResumed: true, isAmbiguous: false };

/**
 * Selects what follows the resume point. Only the order counts: the timestamps of the two streams are not in order, the
 * parts of a line have the time of its first part, and clocks are set back.
 */
export class SelectAfterPoint implements ResumeFilter {
  hasResumed = false;
  isAmbiguous = false;
  private left: number;
  private seen = 0;
  private sawFirstEqual: boolean;

  /** @param options.isWholeLog The reading begins where Docker's log begins. */
  constructor(
    private readonly point: ResumePoint,
    { isWholeLog }: { readonly isWholeLog: boolean },
  ) {
    this.left = point.occurrence;
    // Equal entries can only be counted from the first of them on.
    this.sawFirstEqual = isWholeLog;
  }

  select(frame: LogFrame): LogFrame | undefined {
    if (this.hasResumed) return frame;
    if (this.isAmbiguous) return undefined;
    const { entry } = this.point;
    const isOther = frame.stream === entry.stream && frame.timestampNanos !== entry.timestampNanos;
    if (isOther || (!entry.partial && ++this.seen > equalLinesApart)) this.sawFirstEqual = true;
    const end = endOfEntry(frame, entry, () => --this.left === 0);
    if (end === undefined) return undefined;
    this.hasResumed = this.sawFirstEqual;
    this.isAmbiguous = !this.sawFirstEqual;
    return this.hasResumed && end < frame.data.length
      ? { ...frame, data: frame.data.subarray(end) }
      : undefined;
  }
}

/** Selects what is later than a time, for when Docker's log no longer has the resume point. */
export class SelectAfterTime implements ResumeFilter {
  readonly isAmbiguous = false;
  /** The time of the first selected entry. */
  firstNanos: bigint | undefined;
  private newestNanos = 0n;
  private count = 0;

  constructor(private readonly afterNanos: bigint) {}

  get hasResumed(): boolean {
    return this.firstNanos !== undefined;
  }

  select(frame: LogFrame): LogFrame | undefined {
    if (frame.timestampNanos > this.afterNanos) this.firstNanos ??= frame.timestampNanos;
    if (!this.hasResumed) return undefined;
    this.count++;
    if (frame.timestampNanos > this.newestNanos) this.newestNanos = frame.timestampNanos;
    return frame;
  }

  /** The number of entries between the time and the first selected one, at the rate of the others. */
  estimateMissing(): number | undefined {
    const { firstNanos = 0n, newestNanos, count } = this;
    const spanNanos = Number(newestNanos - firstNanos);
    if (count < 2 || spanNanos <= 0) return undefined;
    const intervals = Math.round((Number(firstNanos - this.afterNanos) * (count - 1)) / spanNanos);
    return Math.max(0, intervals - 1);
  }
}
