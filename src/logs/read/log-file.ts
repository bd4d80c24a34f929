import { constants, open, readdir, stat, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ShimError } from "../../base/index.js";
import { longestLineBytes, type ReadableFile } from "../log-lines.js";

const blockBytes = 64 * 1024;
const newline = 0x0a;

// This file reads the disk without the Host port: its users are programs without a shim.

/** An open log file. It stays the same file when it is renamed or removed. */
export class LogFileOnDisk implements ReadableFile {
  private constructor(
    private readonly handle: FileHandle,
    readonly identity: string,
  ) {}

  /**
   * Opens a file, links followed; undefined when it is missing.
   * @throws ShimError "invalid-argument" for anything but a regular file.
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

/** Equal for two paths of one file; undefined when there is none. */
export async function identityOf(path: string): Promise<string | undefined> {
  const found = await unlessMissing(stat(path, { bigint: true }));
  return found && `${found.dev}:${found.ino}`;
}

const kubeletSuffix = /^\.\d{8}-\d{6}$/;
const dockerSuffix = /^\.(\d+)$/;

/**
 * The files that were rotated after the one with this identity, oldest first, without compressed ones. Empty when it is
 * not among the rotated files.
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

/** Reads the complete lines of a growing file. A line that is too long for a log is left out. */
export class LinesForward {
  private rest: Buffer = Buffer.alloc(0);
  private readTo: number;
  private isTooLong = false;

  /** @param startBytes The offset of a line's first byte. */
  constructor(
    private readonly file: LogFileOnDisk,
    startBytes: number,
  ) {
    this.readTo = startBytes;
  }

  /** The lines up to the present end of the file, without their newlines, and where each begins. */
  async *toEnd(): AsyncGenerator<{ line: Buffer; startBytes: number }> {
    // Docker empties its log in place when it may keep one file only, and operators do, too.
    if ((await this.file.stat()).sizeBytes < this.readTo) this.restart();
    for (;;) {
      const block = await this.file.read(this.readTo, blockBytes);
      if (block.length === 0) return;
      const startBytes = this.readTo - this.rest.length;
      this.readTo += block.length;
      yield* this.split(this.rest.length === 0 ? block : Buffer.concat([this.rest, block]), startBytes);
    }
  }

  private *split(bytes: Buffer, startBytes: number): Generator<{ line: Buffer; startBytes: number }> {
    let at = 0;
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, at)) {
      if (!this.isTooLong) yield { line: bytes.subarray(at, end), startBytes: startBytes + at };
      this.isTooLong = false;
      at = end + 1;
    }
    const rest = bytes.subarray(at);
    this.isTooLong ||= rest.length > longestLineBytes;
    this.rest = this.isTooLong ? Buffer.alloc(0) : Buffer.from(rest);
  }

  private restart(): void {
    this.readTo = 0;
    this.rest = Buffer.alloc(0);
    this.isTooLong = false;
  }
}
