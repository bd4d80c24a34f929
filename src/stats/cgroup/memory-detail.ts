import type { ReadFile } from "./cpu.js";
import type { CgroupPlace } from "./places.js";
import { numberOf, valueOf } from "./text.js";

/** Memory values that are only in metrics. */
export interface MemoryDetail {
  readonly cacheBytes?: bigint | undefined;
  readonly kernelBytes?: bigint | undefined;
  readonly mappedFileBytes?: bigint | undefined;
  readonly activeFileBytes?: bigint | undefined;
  readonly inactiveFileBytes?: bigint | undefined;
  readonly mostBytes?: bigint | undefined;
  readonly limitHits?: bigint | undefined;
  readonly oomKills?: bigint | undefined;
  /** Without child cgroups. */
  readonly ownPageFaults?: bigint | undefined;
  readonly ownMajorPageFaults?: bigint | undefined;
}

/**
 * @param stat The content of `memory.stat`.
 * @see kernel, cgroup-v1/memory and cgroup-v2, "Memory"
 */
export function readMemoryDetail(read: ReadFile, place: CgroupPlace, stat: string): MemoryDetail {
  const { version, folder } = place;
  const own = { ownPageFaults: valueOf(stat, "pgfault"), ownMajorPageFaults: valueOf(stat, "pgmajfault") };
  if (version === 1) {
    return {
      ...own,
      cacheBytes: valueOf(stat, "total_cache"),
      kernelBytes: numberOf(read(`${folder}/memory.kmem.usage_in_bytes`)),
      mappedFileBytes: valueOf(stat, "total_mapped_file"),
      activeFileBytes: valueOf(stat, "total_active_file"),
      inactiveFileBytes: valueOf(stat, "total_inactive_file"),
      mostBytes: numberOf(read(`${folder}/memory.max_usage_in_bytes`)),
      limitHits: numberOf(read(`${folder}/memory.failcnt`)),
      oomKills: valueOf(read(`${folder}/memory.oom_control`) ?? "", "oom_kill"),
    };
  }
  const events = read(`${folder}/memory.events`) ?? "";
  return {
    ...own,
    cacheBytes: valueOf(stat, "file"),
    kernelBytes: valueOf(stat, "kernel"),
    mappedFileBytes: valueOf(stat, "file_mapped"),
    activeFileBytes: valueOf(stat, "active_file"),
    inactiveFileBytes: valueOf(stat, "inactive_file"),
    mostBytes: numberOf(read(`${folder}/memory.peak`)),
    limitHits: valueOf(events, "max"),
    oomKills: valueOf(events, "oom_kill"),
  };
}
