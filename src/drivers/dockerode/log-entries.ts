import { parseRfc3339Nanos } from "../../base/index.js";
import type { LogFrame } from "../../docker/index.js";
import { wholeFrames } from "./demux.js";
import { Malformed } from "./failures.js";
import { maxLineBytes } from "./ndjson.js";

const space = 0x20;
const newline = 0x0a;
/** `2006-01-02T15:04:05.000000000Z` and a space: Docker never writes fewer decimals. */
const stampBytes = 31;
/** Docker cuts longer lines into entries of this many bytes. */
const partBytes = 16 * 1024;

/** The entries of a container without a terminal: one a frame, `timestamp text`. */
export async function* frameEntries(chunks: AsyncIterable<Buffer>): AsyncGenerator<LogFrame> {
  for await (const { stream, data } of wholeFrames(chunks, maxLineBytes)) {
    const end = data.subarray(0, 64).indexOf(space);
    yield {
      stream,
      timestampNanos: timeOf(data.subarray(0, Math.max(end, 0))),
      data: data.subarray(end + 1),
    };
  }
}

/** The entries of a container with a terminal, one by one. */
export async function* terminalEntries(chunks: AsyncIterable<Buffer>): AsyncGenerator<LogFrame> {
  const demux = new TerminalDemux();
  for await (const chunk of chunks) {
    const entries: LogFrame[] = [];
    demux.push(chunk, entries);
    yield* entries;
  }
  const last: LogFrame[] = [];
  demux.end(last);
  yield* last;
}

/**
 * Takes the log of a container with a terminal apart. It has no frames: an entry ends with its newline, or
 * where Docker cut a long line and wrote the same timestamp once more.
 */
export class TerminalDemux {
  private pending: Buffer = Buffer.alloc(0);

  /** Adds the entries that have come whole. @throws Malformed. */
  push(chunk: Buffer, entries: LogFrame[]): void {
    this.pending = this.pending.length === 0 ? chunk : Buffer.concat([this.pending, chunk]);
    for (let size = entrySize(this.pending); size > 0; size = entrySize(this.pending)) {
      entries.push(terminalEntry(this.pending.subarray(0, size)));
      this.pending = this.pending.subarray(size);
    }
    if (this.pending.length > maxLineBytes)
      throw new Malformed(`a log entry is longer than ${maxLineBytes} bytes`);
  }

  /** Adds what came last, without a newline. @throws Malformed. */
  end(entries: LogFrame[]): void {
    if (this.pending.length > 0) entries.push(terminalEntry(this.pending));
  }
}

/** How many bytes the first entry takes, its timestamp included; 0 when its end has not come. */
function entrySize(pending: Buffer): number {
  if (pending.length < stampBytes) return 0;
  const end = pending.indexOf(newline, stampBytes);
  const cut = stampBytes + partBytes;
  if (end >= 0 && end <= cut) return end + 1;
  const stamp = pending.subarray(0, stampBytes);
  if (pending.length >= cut + stampBytes && stamp.equals(pending.subarray(cut, cut + stampBytes))) return cut;
  return end >= 0 ? end + 1 : 0;
}

function terminalEntry(entry: Buffer): LogFrame {
  if (entry[stampBytes - 1] !== space) throw new Malformed(`a log entry begins with ${sample(entry)}`);
  const timestampNanos = timeOf(entry.subarray(0, stampBytes - 1));
  return { stream: "stdout", timestampNanos, data: entry.subarray(stampBytes) };
}

function timeOf(stamp: Buffer): bigint {
  const nanos = parseRfc3339Nanos(stamp.toString("latin1"));
  if (nanos === undefined) throw new Malformed(`a log entry begins with ${sample(stamp)}, not with a time`);
  return nanos;
}

function sample(bytes: Buffer): string {
  return JSON.stringify(bytes.subarray(0, 64).toString("latin1"));
}
