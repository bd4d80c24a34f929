import { statfs } from "node:fs/promises";
import { release } from "node:os";
import type { HostKernel, HostOomLog } from "../../host/index.js";
import { openOomLog } from "./oom-log.js";

/** `CGROUP2_SUPER_MAGIC` of linux/magic.h. */
const cgroup2Magic = 0x63677270n;

export class NodeKernel implements HostKernel {
  readonly release = release();

  async cgroupVersion(): Promise<1 | 2> {
    const { type } = await statfs("/sys/fs/cgroup", { bigint: true });
    return type === cgroup2Magic ? 2 : 1;
  }

  openOomLog(): Promise<HostOomLog> {
    return openOomLog();
  }
}
