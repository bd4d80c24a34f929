import type { LogFrame } from "../../docker/index.js";
import type { LogFile } from "../../host/index.js";
import { entriesOf, parseEntry, type Entry } from "../entry.js";
import { linesBackward } from "../lines-backward.js";

/** The last entry that is in the log file: what Docker said up to it need not be written again. */
export interface Anchor {
  readonly entry: Entry;
  /** Which one it is of the entries that look just like it, as parts of one line may. */
  readonly occurrence: number;
}

/** Lines that are not entries, in a row, after which a file counts as not a log. */
const mostForeignLines = 1000;
/** Parts of one line that are looked at to tell equal ones apart: 64 MiB of text. */
const mostParts = 4096;
/** Whole lines that are equal in text and time stand no further apart. */
export const equalLinesApart = 48;

/**
 * Finds the last entry of files that follow on one another, newest first; undefined when there is none.
 * Files are read from their end, and no further than needed.
 */
export async function findAnchor(files: AsyncIterable<LogFile>): Promise<Anchor | undefined> {
  let last: Entry | undefined;
  let occurrence = 1;
  let foreign = 0;
  let looked = 0;
  for await (const file of files) {
    for await (const line of linesBackward(file)) {
      const entry = parseEntry(line);
      if (!entry) {
        if (++foreign > mostForeignLines) break;
      } else if (!last) {
        // The block that it was read from is not worth keeping for it.
        last = { ...entry, text: Buffer.from(entry.text) };
      } else {
        const isEarlier = entry.stream === last.stream && entry.timestampNanos !== last.timestampNanos;
        const isFar = ++looked > (last.partial ? mostParts : equalLinesApart);
        if (isEarlier || isFar) return { entry: last, occurrence };
        if (isSame(entry, last)) occurrence++;
      }
    }
  }
  return last && { entry: last, occurrence };
}

export function isSameAnchor(a: Anchor, b: Anchor): boolean {
  return a.occurrence === b.occurrence && isSame(a.entry, b.entry);
}

function isSame(a: Entry, b: Entry): boolean {
  return (
    a.timestampNanos === b.timestampNanos &&
    a.stream === b.stream &&
    a.partial === b.partial &&
    a.text.equals(b.text)
  );
}

/** True when the frame is, or holds, the entry. */
export function holdsEntry(frame: LogFrame, entry: Entry): boolean {
  return endOfEntry(frame, entry, () => true) !== undefined;
}

/** Where in a frame's data the entry ends, the first that `accept` takes; undefined when it is not in it. */
export function endOfEntry(frame: LogFrame, entry: Entry, accept: () => boolean): number | undefined {
  if (frame.timestampNanos !== entry.timestampNanos || frame.stream !== entry.stream) return undefined;
  for (const { start, end, partial } of entriesOf(frame.data)) {
    const isIt = partial === entry.partial && entry.text.equals(frame.data.subarray(start, end));
    if (isIt && accept()) return partial ? end : end + 1;
  }
  return undefined;
}
