/** What can be read from its end. */
export interface ReadableFile {
  /** Fewer bytes than asked for only at the end of the file. */
  read(offsetBytes: number, lengthBytes: number): Promise<Buffer>;
  stat(): Promise<{ readonly sizeBytes: number }>;
}

const blockBytes = 64 * 1024;
/** Docker cuts lines into 16 KiB, other drivers at 1 MiB: what is longer is no line of a log. */
export const longestLineBytes = 4 * 1024 * 1024;
const newline = 0x0a;

/**
 * The lines of a file without their newlines, last first. What follows the last newline is left out, and a
 * line that is too long to be one ends the iteration.
 * @param fromBytes Begin there in the place of the end.
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
