import { opendirSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { release } from "node:os";
import { codeOf } from "../../base/index.js";
import type { HostKernel, HostOomLog } from "../../host/index.js";
import { openOomLog } from "./oom-log.js";

/** `CGROUP2_SUPER_MAGIC` of linux/magic.h. */
const cgroup2Magic = 0x63677270n;

/**
 * EOPNOTSUPP: the kernel has no pressure values; ENODEV, ESRCH: the cgroup or the process ended during the read; EINVAL:
 * the process is a zombie, which has no mounts and no network.
 */
const unreadable = new Set([
  "ENOENT",
  "ENOTDIR",
  "ENODEV",
  "ESRCH",
  "EACCES",
  "EPERM",
  "EOPNOTSUPP",
  "EINVAL",
]);

export class NodeKernel implements HostKernel {
  readonly release = release();

  async cgroupVersion(): Promise<1 | 2> {
    const { type } = await statfs("/sys/fs/cgroup", { bigint: true });
    return type === cgroup2Magic ? 2 : 1;
  }

  openOomLog(): Promise<HostOomLog> {
    return openOomLog();
  }

  readNow(path: string): string | undefined {
    return unlessGone(() => readFileSync(path, "utf8"));
  }

  foldersNow(path: string): string[] {
    const read = () => readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return (unlessGone(read) ?? []).map((entry) => entry.name);
  }

  openFilesNow(pid: number, most: number): string[] | undefined {
    const path = `/proc/${pid}/fd`;
    const targets: string[] = [];
    const folder = unlessGone(() => opendirSync(path));
    if (!folder) return targets;
    try {
      const next = () => unlessGone(() => folder.readSync());
      for (let file = next(); file; file = next()) {
        const link = `${path}/${file.name}`;
        const target = unlessGone(() => readlinkSync(link));
        if (target === undefined) continue;
        if (targets.length === most) return undefined;
        targets.push(target);
      }
      return targets;
    } finally {
      folder.closeSync();
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
