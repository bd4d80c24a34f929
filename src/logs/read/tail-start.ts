import { linesBackward, parseLogLine, wholeLineBytes, type Entry } from "../log-lines.js";
import type { LogFileOnDisk } from "./log-file.js";

/** A longer line is returned in pieces, so that no log can use up the memory. */
export const longestTextBytes = 1024 * 1024;

type StreamName = Entry["stream"];

/** Where the entries of the last lines begin, for each stream. */
export interface TailStart {
  /** The first offset that is needed. */
  readonly startBytes: number;
  /** Entries of a stream that begin before its offset belong to older lines. */
  readonly streamStartBytes: Readonly<Record<StreamName, number>>;
}

/**
 * Finds where the last lines begin. The first part of a line may be far before its last, among entries of the other
 * stream. A line without an end is returned after all others, so it is counted first.
 * @param options.byEntry Count entries, not lines.
 * @param options.stream Count one stream only.
 */
export async function findTailStart(
  file: LogFileOnDisk,
  tailLines: number,
  options: { readonly byEntry: boolean; readonly stream?: StreamName | undefined },
): Promise<TailStart> {
  const fileBytes = (await wholeLineBytes(file)) ?? (await file.stat()).sizeBytes;
  // Later entries are wanted, of either stream.
  const starts = { stdout: fileBytes, stderr: fileBytes };
  /** Streams whose next entry backward belongs to a line that is not wanted. */
  const done = new Set<StreamName>();
  let end = fileBytes;
  let countedAtBytes = end;
  const countsOne = options.byEntry || options.stream !== undefined;
  if (tailLines <= 0) return { startBytes: end, streamStartBytes: starts };
  const open = options.byEntry ? [] : await openStreams(file, fileBytes, options.stream);
  open.splice(tailLines);
  let left = tailLines - open.length;
  for await (const line of linesBackward(file, fileBytes)) {
    end -= line.length + 1;
    const entry = parseLogLine(line);
    if (!entry || (options.stream !== undefined && entry.stream !== options.stream)) continue;
    const isLastOfLine = options.byEntry || !entry.partial || starts[entry.stream] === fileBytes;
    const isCounted = open.includes(entry.stream) && entry.partial;
    if (isLastOfLine && !isCounted && left === 0) done.add(entry.stream);
    else if (isLastOfLine && !isCounted) {
      left--;
      countedAtBytes = end;
    }
    if (!done.has(entry.stream)) starts[entry.stream] = end;
    const isSure = countsOne ? done.size > 0 : done.size === 2;
    // A stream without entries is not searched further back than the length of a line.
    if (isSure || (left === 0 && countedAtBytes - end > longestTextBytes)) break;
  }
  return { startBytes: Math.min(starts.stdout, starts.stderr), streamStartBytes: starts };
}

/** The streams whose last line has no end, the one with the newest entry first. */
async function openStreams(
  file: LogFileOnDisk,
  fileBytes: number,
  only: StreamName | undefined,
): Promise<StreamName[]> {
  const seen = new Set<StreamName>();
  const open: StreamName[] = [];
  let lookedBytes = 0;
  for await (const line of linesBackward(file, fileBytes)) {
    lookedBytes += line.length + 1;
    const entry = parseLogLine(line);
    if (entry && (only === undefined || entry.stream === only) && !seen.has(entry.stream)) {
      seen.add(entry.stream);
      if (entry.partial) open.push(entry.stream);
    }
    if (seen.size === (only === undefined ? 2 : 1) || lookedBytes > longestTextBytes) break;
  }
  return open;
}
