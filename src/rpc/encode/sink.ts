const initialBytes = 64 * 1024;
const keptBytes = 1024 * 1024;

/** A growing buffer that protobuf's wire format is written to. */
export class Sink {
  private buffer = Buffer.allocUnsafeSlow(initialBytes);
  private position = 0;

  /** How many bytes have been written. */
  get length(): number {
    return this.position;
  }

  /** Resets the buffer; one that grew for a large message is freed. */
  reset(): void {
    this.position = 0;
    if (this.buffer.length > keptBytes) this.buffer = Buffer.allocUnsafeSlow(initialBytes);
  }

  /** A copy of what was written from `start` on. */
  copy(start = 0): Buffer {
    const copy = Buffer.allocUnsafe(this.position - start);
    this.buffer.copy(copy, 0, start, this.position);
    return copy;
  }

  byte(value: number): void {
    this.reserve(1);
    this.buffer[this.position++] = value;
  }

  /** An unsigned 32-bit varint. */
  uint32(value: number): void {
    this.reserve(5);
    this.position = putVarint(this.buffer, this.position, value);
  }

  /** A signed 32-bit varint: a negative one takes ten bytes, as if it had 64 bits. */
  int32(value: number): void {
    if (value >= 0) this.uint32(value);
    else this.uint64(BigInt.asUintN(64, BigInt(value)));
  }

  /** A 64-bit varint, from 0 to 2^64 - 1. */
  uint64(value: bigint): void {
    this.reserve(10);
    let low = Number(value & 0xffff_ffffn);
    let high = Number(value >> 32n);
    while (high > 0) {
      this.buffer[this.position++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    this.position = putVarint(this.buffer, this.position, low);
  }

  double(value: number): void {
    this.reserve(8);
    this.position = this.buffer.writeDoubleLE(value, this.position);
  }

  /** Raw bytes. */
  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.position);
    this.position += bytes.length;
  }

  /** A length-delimited text in UTF-8; a lone surrogate becomes U+FFFD. */
  string(value: string): void {
    // UTF-8 takes at most three bytes for each of JavaScript's 16-bit units.
    this.reserve(value.length * 3 + 5);
    if (value.length < 128 && this.shortAscii(value)) return;
    const start = this.position;
    const prefix = varintSize(value.length);
    const written = this.buffer.write(value, start + prefix, "utf8");
    this.position = start + prefix + written;
    this.prefixLength(start, prefix, written);
  }

  /** Opens a length-delimited part; {@link close} takes the mark and writes the length before it. */
  open(): number {
    this.reserve(1);
    return this.position++;
  }

  close(mark: number): void {
    this.reserve(4);
    this.prefixLength(mark, 1, this.position - mark - 1);
  }

  private shortAscii(value: string): boolean {
    const { buffer } = this;
    let at = this.position;
    buffer[at++] = value.length;
    for (let index = 0; index < value.length; index++) {
      const unit = value.charCodeAt(index);
      if (unit > 0x7f) return false;
      buffer[at++] = unit;
    }
    this.position = at;
    return true;
  }

  private prefixLength(start: number, reserved: number, length: number): void {
    const needed = varintSize(length);
    if (needed !== reserved) {
      this.buffer.copyWithin(start + needed, start + reserved, this.position);
      this.position += needed - reserved;
    }
    putVarint(this.buffer, start, length);
  }

  private reserve(bytes: number): void {
    const needed = this.position + bytes;
    if (needed <= this.buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2));
    this.buffer.copy(grown, 0, 0, this.position);
    this.buffer = grown;
  }
}

function putVarint(buffer: Uint8Array, position: number, value: number): number {
  let rest = value;
  while (rest > 0x7f) {
    buffer[position++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[position++] = rest;
  return position;
}

/** How many bytes the varint of a number below 2^32 takes. */
function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}
