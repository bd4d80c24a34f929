import { parseRfc3339Nanos } from "../base/index.js";
import type { OutputFrame } from "../docker/index.js";

/** One line of a container's log file. */
export interface Entry {
  readonly timestampNanos: bigint;
  readonly stream: OutputFrame["stream"];
  /** True: the text continues in the stream's next entry (P); false: it ends a line (F). */
  readonly partial: boolean;
  /** Without the newline. */
  readonly text: Buffer;
}

const space = 0x20;
const newline = 0x0a;

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

/**
 * The entries in a piece of Docker's output: one that ends with its newline, or has none. A piece with newlines inside,
 * which none of Docker's own drivers writes, has several.
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

/** Parses a line in CRI's format or in that of Docker's json-file driver; undefined when it is neither. */
export function parseLogLine(line: Buffer): Entry | undefined {
  return line[0] === 0x7b ? parseDockerLine(line) : parseEntry(line);
}

/** `{"log":"text\n","stream":"stdout","time":"…"}`; a text without a newline is a part of a line. */
function parseDockerLine(line: Buffer): Entry | undefined {
  let json: unknown;
  try {
    json = JSON.parse(line.toString("utf8"));
  } catch {
    return undefined;
  }
  if (typeof json !== "object" || json === null) return undefined;
  const { log = "", stream, time } = json as Readonly<Record<string, unknown>>;
  if (typeof log !== "string" || typeof time !== "string") return undefined;
  const timestampNanos = parseRfc3339Nanos(time);
  if (timestampNanos === undefined || (stream !== "stdout" && stream !== "stderr")) return undefined;
  const partial = !log.endsWith("\n");
  return { timestampNanos, stream, partial, text: Buffer.from(partial ? log : log.slice(0, -1)) };
}

/** A file that can be read backward. */
export interface ReadableFile {
  /** Fewer bytes than asked for only at the end of the file. */
  read(offsetBytes: number, lengthBytes: number): Promise<Buffer>;
  stat(): Promise<{ readonly sizeBytes: number }>;
}

const blockBytes = 64 * 1024;
/** Docker cuts lines at 16 KiB, other drivers at 1 MiB: a longer line is not part of a log. */
export const longestLineBytes = 4 * 1024 * 1024;

/**
 * The lines of a file without their newlines, last first. What follows the last newline is left out, and a
 * line that is too long to be one ends the iteration.
 * @param fromBytes Where to begin; by default at the end.
 */
export async function* linesBackward(file: ReadableFile, fromBytes?: number): AsyncGenerator<Buffer> {
  let end = fromBytes ?? (await file.stat()).sizeBytes;
  /** The bytes after `end` up to the end of the line that they belong to. */
  let rest: Buffer = Buffer.alloc(0);
  let isLine = false;
  while (end > 0 && rest.length <= longestLineBytes) {
    const start = Math.max(0, end - blockBytes);
    let block = Buffer.concat([await file.read(start, end - start), rest]);
    for (let at = block.lastIndexOf(newline); at >= 0; at = block.lastIndexOf(newline)) {
      if (isLine) yield block.subarray(at + 1);
      isLine = true;
      block = block.subarray(0, at);
    }
    rest = block;
    end = start;
  }
  if (isLine && end === 0) yield rest;
}

/**
 * How many bytes of the file are whole lines; undefined when its last {@link longestLineBytes} hold no newline
 * at all and there is more before them.
 */
export async function wholeLineBytes(file: ReadableFile): Promise<number | undefined> {
  const { sizeBytes } = await file.stat();
  let end = sizeBytes;
  while (end > 0) {
    const start = Math.max(0, end - blockBytes);
    const at = (await file.read(start, end - start)).lastIndexOf(newline);
    if (at >= 0) return start + at + 1;
    end = start;
    if (sizeBytes - end >= longestLineBytes && end > 0) return undefined;
  }
  return 0;
}
