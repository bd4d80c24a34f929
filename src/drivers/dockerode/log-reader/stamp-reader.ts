import { parseRfc3339Nanos } from "../../../base/index.js";
import { Malformed } from "../failures.js";

/** `2006-01-02T15:04:05.000000000Z`: Docker always writes nine decimals. */
export const stampBytes = 30;
/** The part of it before the decimals. */
const secondBytes = 20;
const longestStamp = 64;
const zero = 0x30;

/**
 * Reads timestamps. Most have the second of the one before: then only the decimals are read, from the bytes. With a string
 * for each line, the parsing of a log takes twice the CPU.
 */
export class StampReader {
  private readonly second = Buffer.alloc(secondBytes);
  private secondNanos = 0n;

  /** @throws Malformed. */
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
    // From the last digit on, which differs most often.
    for (let n = secondBytes - 1; n >= 0; n--) if (bytes[from + n] !== this.second[n]) return false;
    return true;
  }

  private readWhole(bytes: Buffer, from: number, to: number): bigint {
    const text = bytes.toString("latin1", from, Math.min(to, from + longestStamp));
    const nanos = parseRfc3339Nanos(text);
    if (nanos === undefined)
      throw new Malformed(`a log entry begins with ${JSON.stringify(text)}, not with a time`);
    if (text.length === stampBytes && text.endsWith("Z") && text[secondBytes - 1] === ".") {
      bytes.copy(this.second, 0, from, from + secondBytes);
      this.secondNanos = nanos - BigInt(text.slice(secondBytes, -1));
    }
    return nanos;
  }
}
