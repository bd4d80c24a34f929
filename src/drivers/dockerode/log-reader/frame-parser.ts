import type { LogFrame } from "../../../docker/index.js";
import { DaemonError, Malformed, Truncated } from "../failures.js";
import { maxLineBytes } from "../ndjson.js";
import { stampBytes, StampReader } from "./stamp-reader.js";

const headerBytes = 8;
const stderrType = 2;
const errorType = 3;
const space = 0x20;

/**
 * Parses the log of a container without a terminal: frames of an 8-byte header, a timestamp, a space and the text.
 * @see Docker API, "Stream format" of POST /containers/{id}/attach
 */
export class FrameParser {
  private readonly stamps = new StampReader();
  /** The beginning of a frame that is not complete. */
  private parts: Buffer[] = [];
  private partBytes = 0;
  private neededBytes = headerBytes;

  /**
   * Adds the complete entries.
   * @throws Malformed; DaemonError for an error that dockerd wrote into the stream.
   */
  push(chunk: Buffer, entries: LogFrame[]): void {
    this.parts.push(chunk);
    this.partBytes += chunk.length;
    if (this.partBytes < this.neededBytes) return;
    const bytes = this.parts.length === 1 ? chunk : Buffer.concat(this.parts, this.partBytes);
    let at = 0;
    this.neededBytes = headerBytes;
    while (bytes.length - at >= headerBytes) {
      const size = bytes.readUInt32BE(at + 4);
      if (size > maxLineBytes) throw new Malformed(`a frame is longer than ${maxLineBytes} bytes`);
      this.neededBytes = headerBytes + size;
      if (bytes.length - at < this.neededBytes) break;
      entries.push(this.entry(bytes, at, size));
      at += this.neededBytes;
      this.neededBytes = headerBytes;
    }
    const rest = bytes.subarray(at);
    this.parts = rest.length > 0 ? [rest] : [];
    this.partBytes = rest.length;
  }

  /** @throws Truncated when the last entry is not complete. */
  end(): void {
    if (this.partBytes > 0) throw new Truncated("the stream ended inside a frame");
  }

  private entry(bytes: Buffer, at: number, size: number): LogFrame {
    const type = bytes[at] ?? 0;
    if (type > errorType || bytes[at + 1] !== 0 || bytes[at + 2] !== 0 || bytes[at + 3] !== 0) {
      const header = bytes.toString("hex", at, at + headerBytes);
      throw new Malformed(`a frame begins with 0x${header}: the stream is not multiplexed`);
    }
    const from = at + headerBytes;
    const to = from + size;
    if (type === errorType) throw new DaemonError(bytes.toString("utf8", from, to));
    let end = from + stampBytes;
    if (bytes[end] !== space || end >= to) end = bytes.indexOf(space, from);
    if (end < 0 || end >= to) throw new Malformed("a log entry has no time");
    return {
      stream: type === stderrType ? "stderr" : "stdout",
      timestampNanos: this.stamps.read(bytes, from, end),
      data: bytes.subarray(end + 1, to),
    };
  }
}
