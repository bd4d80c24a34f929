import { parseRfc3339Nanos } from "../../base/index.js";
import type { LogFrame } from "../../docker/index.js";
import { DaemonError, Malformed, Truncated } from "./failures.js";
import { maxLineBytes } from "./ndjson.js";

const headerBytes = 8;
const stderrType = 2;
const errorType = 3;
const space = 0x20;
const zero = 0x30;
/** `2006-01-02T15:04:05.000000000Z`: Docker never writes fewer decimals. */
const stampBytes = 30;
/** Of a stamp, what comes before the decimals. */
const secondBytes = 20;

/** Takes the log of a container without a terminal apart, chunk by chunk. */
export class LogDemux {
  private readonly stamps = new StampReader();
  /** The beginning of a frame whose end has not come. */
  private parts: Buffer[] = [];
  private partBytes = 0;

  /**
   * Adds the entries that have come whole.
   * @throws Malformed, DaemonError as `wholeFrames` does.
   */
  push(chunk: Buffer, entries: LogFrame[]): void {
    let bytes = chunk;
    if (this.parts.length > 0) {
      this.keep(chunk);
      if (!this.isWhole()) return;
      bytes = Buffer.concat(this.parts, this.partBytes);
      this.parts = [];
      this.partBytes = 0;
    }
    let at = 0;
    while (bytes.length - at >= headerBytes) {
      const size = bytes.readUInt32BE(at + 4);
      if (size > maxLineBytes) throw new Malformed(`a frame is longer than ${maxLineBytes} bytes`);
      if (bytes.length - at < headerBytes + size) break;
      entries.push(this.entry(bytes, at, size));
      at += headerBytes + size;
    }
    if (at < bytes.length) this.keep(bytes.subarray(at));
  }

  /** @throws Truncated when the last entry has not come whole. */
  end(): void {
    if (this.parts.length > 0) throw new Truncated("the stream ended inside a frame");
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

  private keep(part: Buffer): void {
    this.parts.push(part);
    this.partBytes += part.length;
  }

  /** True when the frame that has begun is there, or so little that only joining can tell. */
  private isWhole(): boolean {
    const [first] = this.parts;
    if (first === undefined || first.length < headerBytes) return true;
    return this.partBytes >= headerBytes + first.readUInt32BE(4);
  }
}

/** Reads times of which most share their second with the one before. */
class StampReader {
  private readonly second = Buffer.alloc(secondBytes);
  private secondNanos = 0n;

  read(bytes: Buffer, from: number, to: number): bigint {
    if (to - from !== stampBytes || !this.isSameSecond(bytes, from)) return this.readWhole(bytes, from, to);
    let decimals = 0;
    for (let at = from + secondBytes; at < to - 1; at++) {
      const digit = (bytes[at] ?? 0) - zero;
      if (digit < 0 || digit > 9) return this.readWhole(bytes, from, to);
      decimals = decimals * 10 + digit;
    }
    return this.secondNanos + BigInt(decimals);
  }

  private isSameSecond(bytes: Buffer, from: number): boolean {
    // The last digits differ first.
    for (let n = secondBytes - 1; n >= 0; n--) if (bytes[from + n] !== this.second[n]) return false;
    return true;
  }

  private readWhole(bytes: Buffer, from: number, to: number): bigint {
    const text = bytes.toString("latin1", from, Math.min(to, from + 64));
    const nanos = parseRfc3339Nanos(text);
    if (nanos === undefined)
      throw new Malformed(`a log entry begins with ${JSON.stringify(text)}, not with a time`);
    if (to - from === stampBytes && text.endsWith("Z") && text[secondBytes - 1] === ".") {
      bytes.copy(this.second, 0, from, from + secondBytes);
      this.secondNanos = nanos - BigInt(text.slice(secondBytes, -1));
    }
    return nanos;
  }
}
