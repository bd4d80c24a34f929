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
  readonly dirtyFileBytes?: bigint | undefined;
  readonly writebackFileBytes?: bigint | undefined;
  readonly anonRefaults?: bigint | undefined;
  readonly fileRefaults?: bigint | undefined;
  /** v1 has none of these four. cAdvisor publishes 0 there, and so do we. */
  readonly highEvents?: bigint | undefined;
  readonly maxEvents?: bigint | undefined;
  readonly pagesScanned?: bigint | undefined;
  readonly pagesReclaimed?: bigint | undefined;
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
      dirtyFileBytes: valueOf(stat, "total_dirty"),
      writebackFileBytes: valueOf(stat, "total_writeback"),
      anonRefaults: valueOf(stat, "total_workingset_refault_anon"),
      fileRefaults: valueOf(stat, "total_workingset_refault_file"),
      highEvents: 0n,
      maxEvents: 0n,
      pagesScanned: 0n,
      pagesReclaimed: 0n,
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
    dirtyFileBytes: valueOf(stat, "file_dirty"),
    writebackFileBytes: valueOf(stat, "file_writeback"),
    anonRefaults: valueOf(stat, "workingset_refault_anon"),
    fileRefaults: valueOf(stat, "workingset_refault_file"),
    highEvents: valueOf(events, "high"),
    maxEvents: valueOf(events, "max"),
    pagesScanned: valueOf(stat, "pgscan"),
    pagesReclaimed: valueOf(stat, "pgsteal"),
  };
}
