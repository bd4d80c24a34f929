import type { Entry } from "../entry.js";

/** A line that is longer is given in pieces, so that no log can take up all memory. */
export const longestTextBytes = 1024 * 1024;

interface OpenLine {
  readonly timestampNanos: bigint;
  readonly parts: Buffer[];
  sizeBytes: number;
}

/** Puts the parts of long lines together, for each stream by itself. */
export class Joiner {
  private readonly open = new Map<Entry["stream"], OpenLine>();

  /** @returns The line that the entry ends, or as much of it as one may be; undefined when it goes on. */
  add(entry: Entry): Entry | undefined {
    const before = this.open.get(entry.stream);
    if (!before && !entry.partial) return entry;
    const line = before ?? { timestampNanos: entry.timestampNanos, parts: [], sizeBytes: 0 };
    line.parts.push(entry.text);
    line.sizeBytes += entry.text.length;
    if (entry.partial && line.sizeBytes < longestTextBytes) {
      this.open.set(entry.stream, line);
      return undefined;
    }
    this.open.delete(entry.stream);
    return joined(entry.stream, line, entry.partial);
  }

  /** The lines that nothing has ended. */
  *rest(): Generator<Entry> {
    for (const [stream, line] of this.open) yield joined(stream, line, true);
    this.open.clear();
  }
}

function joined(stream: Entry["stream"], line: OpenLine, partial: boolean): Entry {
  const text = Buffer.concat(line.parts, line.sizeBytes);
  return { timestampNanos: line.timestampNanos, stream, partial, text };
}
