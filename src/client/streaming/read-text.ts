/** More than any runtime's error has. */
const maxBytes = 64 * 1024;

/** A server's text, or as much of it as an error can have; the rest is not read. */
export async function readText(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  let left = maxBytes;
  for await (const chunk of chunks) {
    parts.push(chunk.subarray(0, left));
    left -= chunk.length;
    if (left <= 0) break;
  }
  return Buffer.concat(parts).toString("utf8");
}
