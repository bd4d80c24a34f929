import { closeSync, openSync, readdirSync, readlinkSync, readSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { release } from "node:os";
import { codeOf } from "../../base/index.js";
import type { HostKernel, HostOomLog } from "../../host/index.js";
import { openOomLog } from "./oom-log.js";

/** `CGROUP2_SUPER_MAGIC` of linux/magic.h. */
const cgroup2Magic = 0x63677270n;

/** One page more than the largest cgroup file known; a longer file is read in pieces. */
const pieceBytes = 16 * 1024;

/** EOPNOTSUPP: the kernel has no pressure figures; ENODEV, ESRCH: the cgroup or the process ended during the read. */
const unreadable = new Set(["ENOENT", "ENOTDIR", "ENODEV", "ESRCH", "EACCES", "EPERM", "EOPNOTSUPP"]);

export class NodeKernel implements HostKernel {
  readonly release = release();
  private readonly piece = Buffer.allocUnsafe(pieceBytes);

  async cgroupVersion(): Promise<1 | 2> {
    const { type } = await statfs("/sys/fs/cgroup", { bigint: true });
    return type === cgroup2Magic ? 2 : 1;
  }

  openOomLog(): Promise<HostOomLog> {
    return openOomLog();
  }

  readNow(path: string): string | undefined {
    return unlessGone(() => {
      const file = openSync(path, "r");
      try {
        return this.readAll(file);
      } finally {
        closeSync(file);
      }
    });
  }

  foldersNow(path: string): string[] {
    const read = () => readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return (unlessGone(read) ?? []).map((entry) => entry.name);
  }

  openFilesNow(pid: number): string[] {
    const folder = `/proc/${pid}/fd`;
    const files = unlessGone(() => readdirSync(folder)) ?? [];
    return files.flatMap((file) => unlessGone(() => readlinkSync(`${folder}/${file}`)) ?? []);
  }

  private readAll(file: number): string {
    const pieces: Buffer[] = [];
    for (;;) {
      const bytes = readSync(file, this.piece, 0, pieceBytes, null);
      // The kernel returns some files page by page: only an empty read is the end.
      if (bytes === 0) return Buffer.concat(pieces).toString("utf8");
      pieces.push(Buffer.from(this.piece.subarray(0, bytes)));
    }
  }
}

function unlessGone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (unreadable.has(codeOf(error) ?? "")) return undefined;
    throw error;
  }
}
