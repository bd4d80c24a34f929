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

/**
 * The entries of a container with a terminal. Its log has no frames: an entry ends with its newline, or
 * where Docker cut a long line and wrote the same timestamp once more.
 */
export async function* terminalEntries(chunks: AsyncIterable<Buffer>): AsyncGenerator<LogFrame> {
  let pending: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    for (let size = entrySize(pending); size > 0; size = entrySize(pending)) {
      yield terminalEntry(pending.subarray(0, size));
      pending = pending.subarray(size);
    }
    if (pending.length > maxLineBytes)
      throw new Malformed(`a log entry is longer than ${maxLineBytes} bytes`);
  }
  if (pending.length > 0) yield terminalEntry(pending);
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
