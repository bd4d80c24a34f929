import { finished, type Readable, type Writable } from "node:stream";
import { AsyncQueue } from "./async-queue.js";

/** Turns the chunks of a stream into items. */
export interface ChunkParser<T> {
  parse(chunk: Buffer): Iterable<T>;
  /** The stream has ended. @throws When that is in the middle of an item. */
  end(): void;
}

/** Leaves chunks as they are. */
export const wholeChunks: ChunkParser<Buffer> = { parse: (chunk) => [chunk], end: () => undefined };

/**
 * The items in a stream. Reading pauses while an item waits for its reader. An error of the stream or of the parser
 * comes after the items before it; a stream that closes without its end is an error. Leaving the loop does not destroy
 * the stream.
 * @param toError Converts an error; undefined ends the items without one.
 */
export function readItems<T>(
  stream: Readable,
  parser: ChunkParser<T>,
  {
    toError = (error) => error,
    onDone,
  }: { readonly toError?: (error: Error) => Error | undefined; readonly onDone?: () => void } = {},
): AsyncQueue<T> {
  const queue = new AsyncQueue<T>({
    onDone,
    onWaiting: () => {
      if (stream.isPaused()) stream.resume();
    },
  });
  const attempt = (work: () => void) => {
    try {
      work();
    } catch (error) {
      queue.end(toError(error as Error));
    }
  };
  stream.on("data", (chunk: Buffer) => {
    attempt(() => {
      for (const item of parser.parse(chunk)) queue.push(item);
    });
    if (!queue.isEmpty) stream.pause();
  });
  finished(stream, { writable: false }, (error) => {
    attempt(() => {
      if (error) throw error;
      parser.end();
    });
    queue.end();
  });
  return queue;
}

/** A writer to a socket waits while this much is not sent. */
export const maxUnsentBytes = 256 * 1024;

/** Writes at the end of this turn of the event loop, with one system call for all that is written in it. */
export function writeBatched(stream: Writable, ...parts: readonly Uint8Array[]): void {
  if (stream.writableCorked === 0) {
    stream.cork();
    process.nextTick(() => {
      stream.uncork();
    });
  }
  for (const part of parts) stream.write(part);
}

/** Resolves when all that was written to the stream has been sent, or it is closed. */
export async function whenSent(stream: Writable): Promise<void> {
  if (!stream.writableNeedDrain || stream.destroyed) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      stream.off("drain", done).off("close", done);
      resolve();
    };
    stream.on("drain", done).on("close", done);
  });
}
