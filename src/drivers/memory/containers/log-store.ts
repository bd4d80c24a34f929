import { setImmediate as turn } from "node:timers/promises";
import { abortError, formatRfc3339Nanos, onAbort } from "../../../base/index.js";
import type { LogFrame, LogOptions } from "../../../docker/index.js";
import type { Clock } from "../clock.js";

/** The most of one line that Docker keeps in one entry. */
const entryBytes = 16 * 1024;
const newline = 10;

type StreamName = "stdout" | "stderr";

/** The written part of a line that has not ended. */
interface OpenLine {
  rest: Buffer;
  /** The time of its first part, once a part has been logged. */
  timeNanos: bigint | undefined;
}

/** A container's log, as Docker's json-file driver keeps it. */
export class LogStore {
  private entries: LogFrame[] = [];
  /** How many entries at the front of the array are dropped but not removed yet. */
  private stale = 0;
  /** How many entries were removed from the front of the array. */
  private removed = 0;
  private sizeBytes = 0;
  private readonly lines: Record<StreamName, OpenLine> = { stdout: emptyLine(), stderr: emptyLine() };
  private readonly waiting = new Set<() => void>();

  /** @param limitBytes The oldest entries are dropped when the log is longer. */
  constructor(
    private readonly clock: Clock,
    private readonly limitBytes: number,
  ) {}

  /** Adds output. A line is logged when it has ended, or has filled an entry. */
  append(stream: StreamName, data: Uint8Array): void {
    const line = this.lines[stream];
    let rest = line.rest.length === 0 ? Buffer.from(data) : Buffer.concat([line.rest, data]);
    while (rest.length > 0) {
      const end = rest.indexOf(newline);
      const length = end >= 0 && end < entryBytes ? end + 1 : rest.length >= entryBytes ? entryBytes : 0;
      if (length === 0) break;
      const ends = rest[length - 1] === newline;
      this.add(stream, line, Buffer.from(rest.subarray(0, length)), ends);
      rest = rest.subarray(length);
    }
    line.rest = Buffer.from(rest);
    this.wake();
  }

  /** Logs the rest of an incomplete line, after the process has closed its output. */
  flush(): void {
    for (const stream of ["stdout", "stderr"] as const) {
      const line = this.lines[stream];
      if (line.rest.length > 0) this.add(stream, line, line.rest, true);
      line.rest = Buffer.alloc(0);
      line.timeNanos = undefined;
    }
    this.wake();
  }

  private add(stream: StreamName, line: OpenLine, data: Buffer, ends: boolean): void {
    const timestampNanos = line.timeNanos ?? this.clock.now();
    line.timeNanos = ends ? undefined : timestampNanos;
    this.entries.push({ stream, data, timestampNanos });
    this.sizeBytes += data.length;
    while (this.sizeBytes > this.limitBytes && this.entries.length - this.stale > 1) {
      this.sizeBytes -= this.entries[this.stale++]?.data.length ?? 0;
    }
    if (this.stale > 1024 && this.stale * 2 > this.entries.length) {
      this.entries = this.entries.slice(this.stale);
      this.removed += this.stale;
      this.stale = 0;
    }
  }

  /**
   * Reads the log.
   * @param isOver Whether the log can no longer grow.
   */
  async *read(options: LogOptions, isOver: () => boolean, signal: AbortSignal): AsyncGenerator<LogFrame> {
    const { stdout = true, stderr = true, sinceNanos, tailLines, follow = false } = options;
    const isWanted = (entry: LogFrame) =>
      (entry.stream === "stdout" ? stdout : stderr) &&
      (sinceNanos === undefined || entry.timestampNanos >= sinceNanos);
    const endOf = () => this.removed + this.entries.length;
    let next = this.removed + this.firstOfTail(tailLines, isWanted);
    for (;;) {
      if (signal.aborted) throw abortError("containers.logs", signal.reason);
      const over = isOver();
      while (next < endOf()) {
        next = Math.max(next, this.removed + this.stale);
        const entry = this.entries[next++ - this.removed];
        if (entry && isWanted(entry)) yield { ...entry, data: Buffer.from(entry.data) };
        if (next % 256 === 0) await turn();
      }
      if (!follow || over) return;
      // It may have ended, or grown, while the reader was busy.
      if (!isOver() && next >= endOf()) await this.changed(signal);
    }
  }

  /** Wakes readers: the log has grown, or its container has ended. */
  wake(): void {
    for (const resume of [...this.waiting]) resume();
  }

  /** The log in the form of Docker's json-file driver. */
  asJsonFile(): Buffer {
    const lines = this.entries.slice(this.stale).map(({ data, stream, timestampNanos }) => {
      const log = Buffer.from(data).toString();
      return `${JSON.stringify({ log, stream, time: formatRfc3339Nanos(timestampNanos) })}\n`;
    });
    return Buffer.from(lines.join(""));
  }

  private firstOfTail(tailLines: number | undefined, isWanted: (entry: LogFrame) => boolean): number {
    if (tailLines === undefined) return this.stale;
    let left = tailLines;
    let index = this.entries.length;
    while (index > this.stale && left > 0) {
      index--;
      const entry = this.entries[index];
      if (entry && isWanted(entry)) left--;
    }
    return index;
  }

  private async changed(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        unlisten();
        this.waiting.delete(done);
        resolve();
      };
      this.waiting.add(done);
      const unlisten = onAbort(signal, done);
    });
  }
}

function emptyLine(): OpenLine {
  return { rest: Buffer.alloc(0), timeNanos: undefined };
}
