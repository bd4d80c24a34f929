import { parseRfc3339Nanos } from "../base/index.js";
import type { OutputFrame } from "../docker/index.js";

/** One line of a CRI log file. */
export interface Entry {
  readonly timestampNanos: bigint;
  readonly stream: OutputFrame["stream"];
  /** True: the text goes on in the stream's next entry (P); false: it ends a line (F). */
  readonly partial: boolean;
  /** Without the newline. */
  readonly text: Buffer;
}

const space = 0x20;

/**
 * Reads a line `TIME STREAM TAGS TEXT`, given without its newline; undefined when it is not one.
 * @see KEP "CRI log format"; the tags are separated by colons and the first is P or F.
 */
export function parseEntry(line: Buffer): Entry | undefined {
  const timeEnd = line.indexOf(space);
  const streamEnd = line.indexOf(space, timeEnd + 1);
  const tagsEnd = line.indexOf(space, streamEnd + 1);
  if (timeEnd < 0 || streamEnd < 0 || tagsEnd < 0) return undefined;
  const timestampNanos = parseRfc3339Nanos(line.toString("latin1", 0, timeEnd));
  const stream = line.toString("latin1", timeEnd + 1, streamEnd);
  if (timestampNanos === undefined || (stream !== "stdout" && stream !== "stderr")) return undefined;
  const tag = line.toString("latin1", streamEnd + 1, tagsEnd).split(":")[0];
  if (tag !== "P" && tag !== "F") return undefined;
  return { timestampNanos, stream, partial: tag === "P", text: line.subarray(tagsEnd + 1) };
}

const newline = 0x0a;

/**
 * The entries that Docker's piece of output makes: one that ends with its newline, or has none. A piece with
 * newlines inside, which Docker's own drivers never give, makes several.
 */
export function* entriesOf(data: Uint8Array): Generator<{ start: number; end: number; partial: boolean }> {
  let start = 0;
  while (start < data.length) {
    const found = data.indexOf(newline, start);
    const end = found < 0 ? data.length : found;
    yield { start, end, partial: found < 0 };
    start = end + 1;
  }
}
