import { formatRfc3339Nanos } from "../../base/index.js";
import type { LogFrame } from "../../docker/index.js";
import { entriesOf } from "../log-lines.js";

const secondNanos = 1_000_000_000n;
/** The last moment of the year 9999: later ones have no RFC 3339 text. */
const lastNanos = 253_402_300_799_999_999_999n;
const newline = 0x0a;
const zero = 0x30;
/** `2006-01-02T15:04:05.` and nine decimals. */
const secondBytes = 20;
const decimalCount = 9;
const heads = {
  stdout: { full: Buffer.from("Z stdout F "), partial: Buffer.from("Z stdout P ") },
  stderr: { full: Buffer.from("Z stderr F "), partial: Buffer.from("Z stderr P ") },
} as const;

/**
 * CRI log lines to be written, in memory that is borrowed from a pool while there are any. Lines are written as bytes,
 * and a second's text is made once: with a string for each line it takes half as much CPU again.
 */
export class LineBuffer {
  private bytes: Buffer = Buffer.alloc(0);
  private filled = 0;
  private lineCount = 0;
  private newestNanos = 0n;
  /** The second whose text is cached. */
  private second = -1n;
  private secondText: Buffer = Buffer.alloc(0);

  constructor(private readonly pool: BufferPool) {}

  get sizeBytes(): number {
    return this.filled;
  }

  /** How many lines there are. */
  get count(): number {
    return this.lineCount;
  }

  /** Docker's timestamp of the line that was added last. */
  get lastNanos(): bigint {
    return this.newestNanos;
  }

  /** The lines; they are valid until {@link clear}. */
  lines(): Buffer {
    return this.bytes.subarray(0, this.filled);
  }

  /** Adds an entry of Docker's as one line, or several if there are newlines inside. */
  add(frame: LogFrame): void {
    const { data } = frame;
    const last = data.length - 1;
    const first = data.indexOf(newline);
    // Fast path: one line.
    if (last >= 0 && (first === last || first < 0))
      this.addLine(frame, 0, first < 0 ? last + 1 : last, first < 0);
    else for (const { start, end, partial } of entriesOf(data)) this.addLine(frame, start, end, partial);
  }

  /** Drops the lines and returns the memory to the pool. */
  clear(): void {
    this.pool.give(this.bytes);
    this.bytes = Buffer.alloc(0);
    this.filled = 0;
    this.lineCount = 0;
  }

  private addLine(
    { stream, timestampNanos, data }: LogFrame,
    start: number,
    end: number,
    partial: boolean,
  ): void {
    const head = partial ? heads[stream].partial : heads[stream].full;
    this.reserve(secondBytes + decimalCount + head.length + end - start + 1);
    this.addTime(timestampNanos);
    this.bytes.set(head, this.filled);
    this.filled += head.length;
    // Docker's newline ends the line here, too.
    const stop = partial ? end : end + 1;
    this.bytes.set(start === 0 && stop === data.length ? data : data.subarray(start, stop), this.filled);
    this.filled += stop - start;
    if (partial) this.bytes[this.filled++] = newline;
    this.lineCount++;
    this.newestNanos = timestampNanos;
  }

  private addTime(timestampNanos: bigint): void {
    let decimals = Number(timestampNanos - this.second);
    if (this.second < 0n || decimals < 0 || decimals >= 1e9) {
      const nanos = timestampNanos < 0n ? 0n : timestampNanos > lastNanos ? lastNanos : timestampNanos;
      decimals = Number(nanos % secondNanos);
      this.second = nanos - BigInt(decimals);
      this.secondText = Buffer.from(formatRfc3339Nanos(nanos).slice(0, secondBytes), "latin1");
    }
    this.bytes.set(this.secondText, this.filled);
    this.filled += secondBytes + decimalCount;
    for (let digit = 1; digit <= decimalCount; digit++) {
      const tenth = Math.floor(decimals / 10);
      this.bytes[this.filled - digit] = zero + decimals - tenth * 10;
      decimals = tenth;
    }
  }

  private reserve(bytes: number): void {
    const wanted = this.filled + bytes;
    if (wanted <= this.bytes.length) return;
    const before = this.bytes;
    this.bytes = this.pool.take(Math.max(wanted, before.length * 2));
    before.copy(this.bytes, 0, 0, this.filled);
    this.pool.give(before);
  }
}

const smallestBytes = 4 * 1024;

/** Memory that all pumps share: an idle pump holds none, and none is freed and allocated again. */
export class BufferPool {
  /** By size, which is a power of two. */
  private readonly free = new Map<number, Buffer[]>();
  private freeBytes = 0;

  constructor(private readonly mostFreeBytes = 4 * 1024 * 1024) {}

  /** A buffer of at least so many bytes, with any content. */
  take(atLeastBytes: number): Buffer {
    let sizeBytes = smallestBytes;
    while (sizeBytes < atLeastBytes) sizeBytes *= 2;
    const found = this.free.get(sizeBytes)?.pop();
    if (!found) return Buffer.allocUnsafeSlow(sizeBytes);
    this.freeBytes -= sizeBytes;
    return found;
  }

  /** Returns a buffer of {@link take} that is no longer used. */
  give(buffer: Buffer): void {
    if (buffer.length === 0 || this.freeBytes + buffer.length > this.mostFreeBytes) return;
    const others = this.free.get(buffer.length);
    if (others) others.push(buffer);
    else this.free.set(buffer.length, [buffer]);
    this.freeBytes += buffer.length;
  }
}
