import { counter, gauge, single, type MetricDefinition } from "./definition.js";
import type { CgroupSource } from "./source.js";

const of = (value: (source: CgroupSource) => bigint | undefined) => single<CgroupSource>(value);

export const memoryMetrics: readonly MetricDefinition<CgroupSource>[] = [
  {
    name: "container_memory_cache",
    help: "Page cache, in bytes.",
    type: gauge,
    values: of(({ memory }) => memory.cacheBytes),
  },
  {
    name: "container_memory_rss",
    help: "Anonymous memory, in bytes.",
    type: gauge,
    values: of(({ usage }) => usage.memory?.rssBytes),
  },
  {
    name: "container_memory_kernel_usage",
    help: "Kernel memory charged to the cgroup, in bytes.",
    type: gauge,
    values: of(({ memory }) => memory.kernelBytes),
  },
  {
    name: "container_memory_mapped_file",
    help: "Files mapped into memory, in bytes.",
    type: gauge,
    values: of(({ memory }) => memory.mappedFileBytes),
  },
  {
    name: "container_memory_swap",
    help: "Swap in use, in bytes.",
    type: gauge,
    values: of(({ usage }) => usage.swap?.usageBytes),
  },
  {
    name: "container_memory_failcnt",
    help: "How often the memory limit was reached.",
    type: counter,
    values: of(({ memory }) => memory.limitHits),
  },
  {
    name: "container_memory_usage_bytes",
    help: "All memory charged, caches included, in bytes.",
    type: gauge,
    values: of(({ usage }) => usage.memory?.usageBytes),
  },
  {
    name: "container_memory_max_usage_bytes",
    help: "Maximum memory usage, in bytes.",
    type: gauge,
    values: of(({ memory }) => memory.mostBytes),
  },
  {
    name: "container_memory_working_set_bytes",
    help: "Memory charged without inactive file cache, in bytes.",
    type: gauge,
    values: of(({ usage }) => usage.memory?.workingSetBytes),
  },
  {
    name: "container_memory_total_active_file_bytes",
    help: "Active file cache, in bytes.",
    type: gauge,
    values: of(({ memory }) => memory.activeFileBytes),
  },
  {
    name: "container_memory_total_inactive_file_bytes",
    help: "Inactive file cache, in bytes.",
    type: gauge,
    values: of(({ memory }) => memory.inactiveFileBytes),
  },
  {
    name: "container_memory_failures_total",
    help: "Page faults (pgfault), and those that read from disk (pgmajfault).",
    type: counter,
    labels: ["failure_type", "scope"],
    values: ({ memory, usage }) => [
      { value: memory.ownPageFaults, labels: ["pgfault", "container"] },
      { value: memory.ownMajorPageFaults, labels: ["pgmajfault", "container"] },
      { value: usage.memory?.pageFaults, labels: ["pgfault", "hierarchy"] },
      { value: usage.memory?.majorPageFaults, labels: ["pgmajfault", "hierarchy"] },
    ],
  },
  {
    name: "container_memory_events_high_total",
    help: "How often memory.high was exceeded; 0 on cgroup v1, which has no such limit.",
    type: counter,
    values: of(({ memory }) => memory.highEvents),
  },
  {
    name: "container_memory_events_max_total",
    help: "How often usage was about to exceed memory.max; 0 on cgroup v1.",
    type: counter,
    values: of(({ memory }) => memory.maxEvents),
  },
  {
    name: "container_memory_file_dirty_bytes",
    help: "File cache that is modified and not yet written to disk, in bytes.",
    type: gauge,
    values: of(({ memory }) => memory.dirtyFileBytes),
  },
  {
    name: "container_memory_file_writeback_bytes",
    help: "File cache that is being written to disk, in bytes.",
    type: gauge,
    values: of(({ memory }) => memory.writebackFileBytes),
  },
  {
    name: "container_memory_pgscan_total",
    help: "Pages scanned in order to reclaim memory; 0 on cgroup v1.",
    type: counter,
    values: of(({ memory }) => memory.pagesScanned),
  },
  {
    name: "container_memory_pgsteal_total",
    help: "Pages reclaimed; 0 on cgroup v1.",
    type: counter,
    values: of(({ memory }) => memory.pagesReclaimed),
  },
  {
    name: "container_memory_workingset_refault_anon_total",
    help: "Refaults of reclaimed anonymous pages.",
    type: counter,
    values: of(({ memory }) => memory.anonRefaults),
  },
  {
    name: "container_memory_workingset_refault_file_total",
    help: "Refaults of reclaimed file cache pages.",
    type: counter,
    values: of(({ memory }) => memory.fileRefaults),
  },
  {
    name: "container_oom_events_total",
    help: "Processes killed by the kernel because memory ran out.",
    type: counter,
    values: of(({ memory }) => memory.oomKills),
  },
];
