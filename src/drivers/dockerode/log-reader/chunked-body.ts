import { Malformed } from "../failures.js";

const newline = 0x0a;
const carriageReturn = 0x0d;
const semicolon = 0x3b;
const space = 0x20;
/** 28 bits; no server sends a larger chunk. */
const mostSizeDigits = 7;

/**
 * Decodes the chunks of an HTTP/1.1 body, wherever the reads have cut them.
 * @see RFC 9112, section 7.1
 */
export class ChunkedBody {
  /** True once the last chunk has been decoded. */
  isOver = false;
  /** Bytes of the current chunk that are not decoded yet. */
  private left = 0;
  private size = 0;
  private sizeDigits = 0;
  private isInExtension = false;
  private isInTrailer = false;
  private trailerBytes = 0;

  /** Moves the payload to the front of `bytes`. @returns That part. @throws Malformed. */
  decode(bytes: Buffer): Buffer {
    let filled = 0;
    let at = 0;
    while (at < bytes.length && !this.isOver) {
      if (this.left === 0) {
        this.control(bytes[at++] ?? 0);
        continue;
      }
      const step = Math.min(this.left, bytes.length - at);
      bytes.copyWithin(filled, at, at + step);
      filled += step;
      at += step;
      this.left -= step;
    }
    return bytes.subarray(0, filled);
  }

  /** Decodes a byte between the chunks. */
  private control(byte: number): void {
    if (byte === newline) this.endLine();
    else if (byte === carriageReturn || this.isInExtension) return;
    else if (this.isInTrailer) this.trailerBytes++;
    else if (byte === semicolon || byte === space) this.isInExtension = true;
    else {
      const digit = hexDigit(byte);
      if (digit === undefined || ++this.sizeDigits > mostSizeDigits)
        throw new Malformed("a chunk of the answer does not begin with its size");
      this.size = this.size * 16 + digit;
    }
  }

  private endLine(): void {
    if (this.isInTrailer) {
      this.isOver = this.trailerBytes === 0;
      this.trailerBytes = 0;
    } else if (this.sizeDigits > 0) {
      // A line without digits ends a chunk's payload.
      this.isInTrailer = this.size === 0;
      this.left = this.size;
      this.size = 0;
      this.sizeDigits = 0;
      this.isInExtension = false;
    }
  }
}

function hexDigit(byte: number): number | undefined {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : undefined;
}
