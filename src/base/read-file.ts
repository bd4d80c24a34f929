import { constants, open } from "node:fs/promises";
import { withDeadline, type CallOptions } from "./deadline.js";
import { ShimError } from "./errors.js";
import { fileError, fileTooLarge } from "./file-errors.js";
import { onAbort } from "./on-abort.js";

const { O_NOCTTY, O_NONBLOCK, O_RDONLY } = constants;
const smallestBlockBytes = 16 * 1024;
const largestBlockBytes = 16 * 1024 * 1024;

/** The default limits of a read. */
export const readFileDefaults = { maxBytes: 4 * 1024 * 1024, deadlineMs: 10_000 };

export interface ReadFileOptions extends CallOptions {
  /** The largest file that is read. Default: 4 MiB. The default of `deadlineMs` is 10 s. */
  readonly maxBytes?: number;
}

/** Paths whose read has passed its deadline and still occupies one of Node's few threads for files. */
const overdue = new Set<string>();

/**
 * Reads a whole regular file whose path comes from a caller or from the configuration. Links are followed; a pipe
 * or a device is refused without waiting for it.
 * @throws Node's own errors; `EINVAL` for anything but a regular file, `EISDIR` for a directory, `EFBIG` for a file
 *   larger than `maxBytes`. ShimError "deadline-exceeded", "cancelled"; "unavailable" while an earlier read of the
 *   path that has passed its deadline still hangs.
 */
export async function readRegularFile(path: string, options: ReadFileOptions = {}): Promise<Buffer> {
  const { maxBytes, deadlineMs, signal } = { ...readFileDefaults, ...options };
  const operation = `read ${path}`;
  if (overdue.has(path)) {
    const text = `${operation}: an earlier read has not returned yet: see whether the file system hangs`;
    throw new ShimError("unavailable", text, { operation });
  }
  return await withDeadline(operation, { deadlineMs, signal }, async (ended) => {
    onAbort(ended, () => overdue.add(path));
    try {
      return await readWhole(path, maxBytes, ended);
    } finally {
      overdue.delete(path);
    }
  });
}

async function readWhole(path: string, maxBytes: number, ended: AbortSignal): Promise<Buffer> {
  // Without O_NONBLOCK, opening a pipe waits until it has a writer.
  const file = await open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  try {
    const stat = await file.stat();
    if (stat.isDirectory()) throw fileError("EISDIR", path, "it is a directory", "read");
    if (!stat.isFile()) throw fileError("EINVAL", path, "it is not a regular file", "read");
    const blocks: Buffer[] = [];
    let readBytes = 0;
    // The size is a hint: files of /proc have none, and others may grow meanwhile.
    for (let size = stat.size; ; size = readBytes) {
      if (size > maxBytes) throw fileTooLarge(path, size, maxBytes);
      ended.throwIfAborted();
      const wanted = Math.max(stat.size - readBytes + 1, smallestBlockBytes);
      const block = Buffer.allocUnsafe(Math.min(wanted, largestBlockBytes));
      const { bytesRead } = await file.read(block, 0, block.length, null);
      if (bytesRead === 0) return Buffer.concat(blocks, readBytes);
      blocks.push(block.subarray(0, bytesRead));
      readBytes += bytesRead;
    }
  } finally {
    await file.close();
  }
}
