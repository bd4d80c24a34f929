import { constants, open, readdir, stat, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ShimError } from "../../base/index.js";
import type { ReadableFile } from "../lines-backward.js";

// The one file of the room that reads the disk by itself: its users are agents that have no shim, and no Host.

/** A log file that is read. It stays the same file when it is renamed or removed. */
export class LogFileOnDisk implements ReadableFile {
  private constructor(
    private readonly handle: FileHandle,
    readonly identity: string,
  ) {}

  /**
   * Opens a file, links followed; undefined when it is missing.
   * @throws ShimError "invalid-argument" for what is not a regular file.
   */
  static async open(path: string): Promise<LogFileOnDisk | undefined> {
    // Without O_NONBLOCK, opening a pipe waits until it has a writer.
    const handle = await unlessMissing(open(path, constants.O_RDONLY | constants.O_NONBLOCK));
    if (!handle) return undefined;
    try {
      const stat = await handle.stat({ bigint: true });
      if (!stat.isFile()) throw new ShimError("invalid-argument", `${path} is not a regular file`);
      return new LogFileOnDisk(handle, `${stat.dev}:${stat.ino}`);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async stat(): Promise<{ sizeBytes: number }> {
    return { sizeBytes: (await this.handle.stat()).size };
  }

  async read(offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(lengthBytes);
    let filled = 0;
    while (filled < lengthBytes) {
      const wanted = lengthBytes - filled;
      const { bytesRead } = await this.handle.read(buffer, filled, wanted, offsetBytes + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

/** Tells whether two files are one; undefined when there is none. */
export async function identityOf(path: string): Promise<string | undefined> {
  const found = await unlessMissing(stat(path, { bigint: true }));
  return found && `${found.dev}:${found.ino}`;
}

const kubeletSuffix = /^\.\d{8}-\d{6}$/;
const dockerSuffix = /^\.(\d+)$/;

/**
 * The files that were rotated away after the one with this identity, oldest first; packed ones are left out.
 * Empty when it is not among the rotated files.
 */
export async function rotatedSince(path: string, identity: string): Promise<string[]> {
  const name = basename(path);
  const suffixes = (await readdir(dirname(path)))
    .filter((other) => other.startsWith(name))
    .map((other) => other.slice(name.length));
  // Kubelet appends the time; Docker counts, and the highest number is the oldest.
  const ages = [
    suffixes.filter((suffix) => kubeletSuffix.test(suffix)).sort(),
    suffixes
      .filter((suffix) => dockerSuffix.test(suffix))
      .sort((a, b) => Number(b.slice(1)) - Number(a.slice(1))),
  ];
  for (const oldestFirst of ages) {
    const paths = oldestFirst.map((suffix) => join(dirname(path), name + suffix));
    const identities = await Promise.all(paths.map(identityOf));
    const at = identities.indexOf(identity);
    if (at >= 0) return paths.slice(at + 1);
  }
  return [];
}

async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
