import type { LogFrame } from "../../../docker/index.js";
import { Malformed } from "../failures.js";
import { maxLineBytes } from "../ndjson.js";
import { stampBytes, StampReader } from "./stamp-reader.js";

const space = 0x20;
const newline = 0x0a;
/** A timestamp and a space. */
const headBytes = stampBytes + 1;
/** Docker cuts longer lines into entries of this many bytes. */
const partBytes = 16 * 1024;

/**
 * Parses the log of a container with a terminal. It has no frames: an entry ends with its newline, or where Docker cut
 * a long line and wrote the same timestamp once more.
 */
export class TerminalParser {
  private readonly stamps = new StampReader();
  private pending: Buffer = Buffer.alloc(0);

  /** Adds the complete entries. @throws Malformed. */
  push(chunk: Buffer, entries: LogFrame[]): void {
    this.pending = this.pending.length === 0 ? chunk : Buffer.concat([this.pending, chunk]);
    for (let size = entrySize(this.pending); size > 0; size = entrySize(this.pending)) {
      entries.push(this.entry(this.pending.subarray(0, size)));
      this.pending = this.pending.subarray(size);
    }
    if (this.pending.length > maxLineBytes)
      throw new Malformed(`a log entry is longer than ${maxLineBytes} bytes`);
  }

  /** Adds a last entry without a newline. @throws Malformed. */
  end(entries: LogFrame[]): void {
    if (this.pending.length > 0) entries.push(this.entry(this.pending));
  }

  private entry(bytes: Buffer): LogFrame {
    if (bytes[stampBytes] !== space)
      throw new Malformed(`a log entry begins with ${JSON.stringify(bytes.toString("latin1", 0, 64))}`);
    const timestampNanos = this.stamps.read(bytes, 0, stampBytes);
    return { stream: "stdout", timestampNanos, data: bytes.subarray(headBytes) };
  }
}

/** The size of the first entry with its timestamp, in bytes; 0 when it is not complete. */
function entrySize(pending: Buffer): number {
  if (pending.length < headBytes) return 0;
  const end = pending.indexOf(newline, headBytes);
  const cut = headBytes + partBytes;
  if (end >= 0 && end <= cut) return end + 1;
  const stamp = pending.subarray(0, headBytes);
  if (pending.length >= cut + headBytes && stamp.equals(pending.subarray(cut, cut + headBytes))) return cut;
  return end >= 0 ? end + 1 : 0;
}
