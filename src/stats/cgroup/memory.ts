import { present } from "../../base/index.js";
import type { MemoryUsage, SwapUsage } from "../usage.js";
import type { ReadFile } from "./cpu.js";
import type { CgroupPlace } from "./places.js";
import { leftOf, limitOf, numberOf, valueOf } from "./text.js";

/** The memory of a cgroup with its descendants. */
export interface MemoryReading {
  readonly memory: Omit<MemoryUsage, "readAtNanos" | "pressure">;
  /** Absent where the kernel does not account swap. */
  readonly swap?: Omit<SwapUsage, "readAtNanos">;
  /** The content of `memory.stat`, for values that are only in metrics. */
  readonly stat: string;
}

/** The names of a value in v1 and v2. On v1, names with `total_` include child cgroups. */
const keysOf = {
  1: {
    inactiveFile: "total_inactive_file",
    rss: "total_rss",
    faults: "total_pgfault",
    majorFaults: "total_pgmajfault",
  },
  2: { inactiveFile: "inactive_file", rss: "anon", faults: "pgfault", majorFaults: "pgmajfault" },
} as const;

const filesOf = {
  1: { usage: "memory.usage_in_bytes", limit: "memory.limit_in_bytes" },
  2: { usage: "memory.current", limit: "memory.max" },
} as const;

/**
 * Reads the memory of a cgroup; undefined when the cgroup no longer exists.
 * @see kernel, cgroup-v1/memory and cgroup-v2, "Memory"
 */
export function readMemory(read: ReadFile, place: CgroupPlace): MemoryReading | undefined {
  const { version, folder } = place;
  const files = filesOf[version];
  const usageBytes = numberOf(read(`${folder}/${files.usage}`));
  const stat = read(`${folder}/memory.stat`);
  if (usageBytes === undefined || stat === undefined) return undefined;
  const keys = keysOf[version];
  const inactive = valueOf(stat, keys.inactiveFile) ?? 0n;
  // The files are not read at the same instant, and the kernel updates sums lazily: a part may exceed the total.
  const workingSetBytes = inactive < usageBytes ? usageBytes - inactive : 0n;
  const limitBytes = limitOf(read(`${folder}/${files.limit}`));
  const swap = version === 1 ? swapOfV1(read, folder, stat, limitBytes) : swapOfV2(read, folder);
  return {
    memory: present({
      usageBytes,
      workingSetBytes,
      limitBytes,
      availableBytes: leftOf(limitBytes, workingSetBytes),
      rssBytes: valueOf(stat, keys.rss),
      pageFaults: valueOf(stat, keys.faults),
      majorPageFaults: valueOf(stat, keys.majorFaults),
    }),
    ...(swap === undefined ? {} : { swap }),
    stat,
  };
}

/** v1 limits memory and swap together. */
function swapOfV1(
  read: ReadFile,
  folder: string,
  stat: string,
  memoryLimitBytes: bigint | undefined,
): MemoryReading["swap"] {
  const usageBytes = valueOf(stat, "total_swap");
  if (usageBytes === undefined) return undefined;
  const both = limitOf(read(`${folder}/memory.memsw.limit_in_bytes`));
  const limit = both === undefined ? undefined : both - (memoryLimitBytes ?? 0n);
  return present({ usageBytes, availableBytes: leftOf(limit, usageBytes) });
}

function swapOfV2(read: ReadFile, folder: string): MemoryReading["swap"] {
  const usageBytes = numberOf(read(`${folder}/memory.swap.current`));
  if (usageBytes === undefined) return undefined;
  const limit = limitOf(read(`${folder}/memory.swap.max`));
  return present({ usageBytes, availableBytes: leftOf(limit, usageBytes) });
}
