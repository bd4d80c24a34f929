import { Malformed } from "./failures.js";

/** The limit of a line; Docker's are far shorter. */
export const maxLineBytes = 16 * 1024 * 1024;

const newline = 0x0a;

/**
 * Splits a stream into lines of text. Empty lines are skipped; a last line without a newline counts.
 * @throws Malformed for a line of more than `maxBytes`.
 */
export async function* lines(chunks: AsyncIterable<Buffer>, maxBytes = maxLineBytes): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  let bytes = 0;
  const keep = (part: Buffer) => {
    bytes += part.length;
    if (bytes > maxBytes) throw new Malformed(`a line is longer than ${maxBytes} bytes`);
    if (part.length > 0) parts.push(part);
  };
  const take = () => {
    const text = Buffer.concat(parts, bytes).toString("utf8").trim();
    parts = [];
    bytes = 0;
    return text;
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      keep(chunk.subarray(start, end));
      start = end + 1;
      const line = take();
      if (line !== "") yield line;
    }
    keep(chunk.subarray(start));
  }
  const last = take();
  if (last !== "") yield last;
}
