import { ShimError } from "../../base/index.js";
import { parseLogLine, type Entry } from "../log-lines.js";
import { RotatingLog } from "./rotating-log.js";
import { findTailStart, longestTextBytes } from "./tail-start.js";

/** A line of a container's log. */
export interface ContainerLogLine {
  /** The time of its first part. */
  readonly timestampNanos: bigint;
  readonly stream: "stdout" | "stderr";
  /** As the container wrote it, without the newline. */
  readonly text: Buffer;
  /**
   * True when no newline follows: the container ended without one, `limitBytes` cut the line, it is longer than 1 MiB and
   * continues in the next piece, or it is a part and `parts` is set.
   */
  readonly partial: boolean;
}

/** What to read of a log. */
export interface ReadContainerLogOptions {
  /** Wait for new lines, across rotations, until `signal` aborts. */
  readonly follow?: boolean;
  /** Only lines of that time or later; a bigint counts nanoseconds since the Unix epoch. */
  readonly sinceTime?: Date | bigint;
  /** Only the last so many lines of the present file. */
  readonly tailLines?: number;
  /** At most so many bytes of text, newlines included. */
  readonly limitBytes?: number;
  /** Only one stream. */
  readonly stream?: "stdout" | "stderr";
  /** Return the parts of long lines as they are stored, and count them for `tailLines`. */
  readonly parts?: boolean;
  /** Ends the reading without an error. */
  readonly signal?: AbortSignal;
}

/**
 * Reads the log of a container from its file, in CRI's format or in Docker's json-file format; a link is
 * followed. Memory stays bounded whatever the file holds. Lines that are not log entries are left out, and so
 * is a last line that is still being written.
 * @throws ShimError "not-found" when there is no such file; "invalid-argument" when it does not begin as a log
 *   does, or an option is wrong. Node's own errors when it cannot be read.
 * @see CRI log format; Docker's json-file logging driver
 */
export async function* readContainerLog(
  path: string,
  options: ReadContainerLogOptions = {},
): AsyncGenerator<ContainerLogLine, void, undefined> {
  checkCount("tailLines", options.tailLines);
  checkCount("limitBytes", options.limitBytes);
  let left = options.limitBytes ?? Infinity;
  if (left === 0) return;
  for await (const line of wholeLines(path, options)) {
    const sizeBytes = line.text.length + (line.partial ? 0 : 1);
    if (sizeBytes <= left) yield line;
    else yield { ...line, text: line.text.subarray(0, left), partial: true };
    left -= sizeBytes;
    if (left <= 0) return;
  }
}

async function* wholeLines(path: string, options: ReadContainerLogOptions): AsyncGenerator<Entry> {
  const joiner = options.parts === true ? undefined : new LineJoiner();
  for await (const entry of entries(path, options)) {
    const line = joiner ? joiner.add(entry) : entry;
    if (line) yield line;
  }
  yield* joiner?.rest() ?? [];
}

async function* entries(path: string, options: ReadContainerLogOptions): AsyncGenerator<Entry> {
  const { follow = false, tailLines, stream, parts = false, signal } = options;
  const sinceNanos = nanosOf(options.sinceTime);
  await using log = await RotatingLog.open(path);
  const tail =
    tailLines === undefined
      ? undefined
      : await findTailStart(log.file, tailLines, { byEntry: parts, stream });
  let isFormatKnown = false;
  for await (const { line, startBytes } of log.lines(tail?.startBytes ?? 0, { follow, signal })) {
    const entry = parseLogLine(line);
    if (!entry && !isFormatKnown) throw notALog(path, line);
    isFormatKnown = true;
    if (!entry || (stream !== undefined && entry.stream !== stream)) continue;
    if (tail && startBytes !== undefined && startBytes < tail.streamStartBytes[entry.stream]) continue;
    if (entry.timestampNanos >= sinceNanos) yield entry;
  }
}

function nanosOf(time: Date | bigint | undefined): bigint {
  if (time === undefined) return -1n;
  if (typeof time === "bigint") return time;
  const ms = time.getTime();
  if (Number.isNaN(ms)) throw new ShimError("invalid-argument", "sinceTime is not a valid date");
  return BigInt(ms) * 1_000_000n;
}

function checkCount(name: string, value: number | undefined): void {
  if (value === undefined || (Number.isInteger(value) && value >= 0)) return;
  throw new ShimError("invalid-argument", `${name} must be an integer of 0 or more, not ${value}`);
}

function notALog(path: string, line: Buffer): ShimError {
  const sample = JSON.stringify(line.subarray(0, 80).toString("latin1"));
  return new ShimError("invalid-argument", `${path} is not a container log: it begins with ${sample}`);
}

interface OpenLine {
  readonly timestampNanos: bigint;
  readonly parts: Buffer[];
  sizeBytes: number;
}

/** Joins the parts of long lines, for each stream separately. */
class LineJoiner {
  private readonly open = new Map<Entry["stream"], OpenLine>();

  /** @returns The line that the entry ends, or a piece that has reached the limit; undefined when the line continues. */
  add(entry: Entry): Entry | undefined {
    const before = this.open.get(entry.stream);
    if (!before && !entry.partial) return entry;
    const line = before ?? { timestampNanos: entry.timestampNanos, parts: [], sizeBytes: 0 };
    line.parts.push(entry.text);
    line.sizeBytes += entry.text.length;
    if (entry.partial && line.sizeBytes < longestTextBytes) {
      this.open.set(entry.stream, line);
      return undefined;
    }
    this.open.delete(entry.stream);
    return joined(entry.stream, line, entry.partial);
  }

  /** The lines that have no end. */
  *rest(): Generator<Entry> {
    for (const [stream, line] of this.open) yield joined(stream, line, true);
    this.open.clear();
  }
}

function joined(stream: Entry["stream"], line: OpenLine, partial: boolean): Entry {
  const text = Buffer.concat(line.parts, line.sizeBytes);
  return { timestampNanos: line.timestampNanos, stream, partial, text };
}
