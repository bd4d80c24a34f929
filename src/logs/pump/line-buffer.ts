import { formatRfc3339Nanos } from "../../base/index.js";
import type { LogFrame } from "../../docker/index.js";
import { entriesOf } from "../entry.js";
import type { BufferPool } from "./buffer-pool.js";

const second = 1_000_000_000n;
/** The last moment of the year 9999: later ones have no RFC 3339 text. */
const lastNanos = 253_402_300_799_999_999_999n;
const timeBytes = 30;
/** The time, the stream, the tag, three spaces and the newline. */
const overheadBytes = timeBytes + 6 + 1 + 3 + 1;
const zero = 0x30;
const newline = 0x0a;
const tails = {
  stdout: { full: Buffer.from("Z stdout F "), partial: Buffer.from("Z stdout P ") },
  stderr: { full: Buffer.from("Z stderr F "), partial: Buffer.from("Z stderr P ") },
} as const;

/** CRI log lines on their way to the file, in memory that is borrowed while there are any. */
export class LineBuffer {
  private bytes: Buffer = Buffer.alloc(0);
  private filled = 0;
  /** The second that {@link secondText} stands for. */
  private secondNanos = -1n;
  private secondText: Buffer = Buffer.alloc(0);

  constructor(private readonly pool: BufferPool) {}

  get sizeBytes(): number {
    return this.filled;
  }

  /** The lines; they stay valid until {@link clear}. */
  lines(): Buffer {
    return this.bytes.subarray(0, this.filled);
  }

  /** Adds what Docker gave, as one line or, if there are newlines inside, several. */
  add({ stream, timestampNanos, data }: LogFrame): void {
    const last = data.length - 1;
    const first = data.indexOf(newline);
    if (last >= 0 && (first === last || first < 0)) {
      this.addEntry(stream, timestampNanos, data, 0, first < 0 ? data.length : last, first < 0);
      return;
    }
    for (const { start, end, partial } of entriesOf(data)) {
      this.addEntry(stream, timestampNanos, data, start, end, partial);
    }
  }

  /** Forgets the lines and gives the memory back. */
  clear(): void {
    this.pool.give(this.bytes);
    this.bytes = Buffer.alloc(0);
    this.filled = 0;
  }

  private addEntry(
    stream: LogFrame["stream"],
    timestampNanos: bigint,
    data: Uint8Array,
    start: number,
    end: number,
    partial: boolean,
  ): void {
    this.makeRoom(overheadBytes + end - start);
    this.addTime(timestampNanos);
    const tail = partial ? tails[stream].partial : tails[stream].full;
    this.bytes.set(tail, this.filled);
    this.filled += tail.length;
    // Docker's newline ends the line here too.
    const stop = partial ? end : end + 1;
    this.bytes.set(start === 0 && stop === data.length ? data : data.subarray(start, stop), this.filled);
    this.filled += stop - start;
    if (partial) this.bytes[this.filled++] = newline;
  }

  /** Writes the time up to its nine decimals; a second's text is made once. */
  private addTime(timestampNanos: bigint): void {
    let sinceSecond = Number(timestampNanos - this.secondNanos);
    if (this.secondNanos < 0n || sinceSecond < 0 || sinceSecond >= 1e9) {
      const nanos = timestampNanos < 0n ? 0n : timestampNanos > lastNanos ? lastNanos : timestampNanos;
      sinceSecond = Number(nanos % second);
      this.secondNanos = nanos - BigInt(sinceSecond);
      this.secondText = Buffer.from(formatRfc3339Nanos(nanos).slice(0, 20), "latin1");
    }
    this.bytes.set(this.secondText, this.filled);
    this.filled += 20;
    let rest = sinceSecond;
    for (let digit = 8; digit >= 0; digit--) {
      const tenth = Math.floor(rest / 10);
      this.bytes[this.filled + digit] = zero + rest - tenth * 10;
      rest = tenth;
    }
    this.filled += 9;
  }

  private makeRoom(needed: number): void {
    const wanted = this.filled + needed;
    if (wanted <= this.bytes.length) return;
    const before = this.bytes;
    this.bytes = this.pool.take(Math.max(wanted, before.length * 2));
    before.copy(this.bytes, 0, 0, this.filled);
    this.pool.give(before);
  }
}
