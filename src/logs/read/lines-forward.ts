import { longestLineBytes } from "../lines-backward.js";
import type { LogFileOnDisk } from "./log-file-on-disk.js";

const blockBytes = 64 * 1024;
const newline = 0x0a;

/** Reads the whole lines of a file as they come to be there. What is longer than a line can be is left out. */
export class LinesForward {
  private rest: Buffer = Buffer.alloc(0);
  private readTo: number;
  private isTooLong = false;

  /** @param startBytes The offset of a line's first byte. */
  constructor(
    private readonly file: LogFileOnDisk,
    startBytes: number,
  ) {
    this.readTo = startBytes;
  }

  /** The lines up to the present end of the file, without their newlines, and where each begins. */
  async *toEnd(): AsyncGenerator<{ line: Buffer; startBytes: number }> {
    // A log is emptied in place by Docker, when it may keep one file only, and by operators.
    if ((await this.file.stat()).sizeBytes < this.readTo) this.beginAgain();
    for (;;) {
      const block = await this.file.read(this.readTo, blockBytes);
      if (block.length === 0) return;
      const startBytes = this.readTo - this.rest.length;
      this.readTo += block.length;
      yield* this.split(this.rest.length === 0 ? block : Buffer.concat([this.rest, block]), startBytes);
    }
  }

  private *split(bytes: Buffer, startBytes: number): Generator<{ line: Buffer; startBytes: number }> {
    let at = 0;
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, at)) {
      if (!this.isTooLong) yield { line: bytes.subarray(at, end), startBytes: startBytes + at };
      this.isTooLong = false;
      at = end + 1;
    }
    const rest = bytes.subarray(at);
    this.isTooLong ||= rest.length > longestLineBytes;
    this.rest = this.isTooLong ? Buffer.alloc(0) : Buffer.from(rest);
  }

  private beginAgain(): void {
    this.readTo = 0;
    this.rest = Buffer.alloc(0);
    this.isTooLong = false;
  }
}
