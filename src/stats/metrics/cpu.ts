import { counter, seconds, single, type MetricDefinition } from "./definition.js";
import type { CgroupSource } from "./source.js";

/** Without a quota there are no periods, and no throttling. */
function ofQuota(value: (source: CgroupSource) => bigint | undefined) {
  return single<CgroupSource>((source) => (source.cpu.hasQuota ? value(source) : undefined));
}

export const cpuMetrics: readonly MetricDefinition<CgroupSource>[] = [
  {
    name: "container_cpu_user_seconds_total",
    help: "CPU time spent in user mode, in seconds.",
    type: counter,
    values: single(({ cpu }) => seconds(cpu.userNanos)),
  },
  {
    name: "container_cpu_system_seconds_total",
    help: "CPU time spent in kernel mode, in seconds.",
    type: counter,
    values: single(({ cpu }) => seconds(cpu.systemNanos)),
  },
  {
    name: "container_cpu_usage_seconds_total",
    help: "CPU time used on all cores, in seconds.",
    type: counter,
    labels: ["cpu"],
    values: ({ usage }) => [{ value: seconds(usage.cpu?.usageCoreNanos), labels: ["total"] }],
  },
  {
    name: "container_cpu_cfs_periods_total",
    help: "Periods in which a CPU quota was enforced.",
    type: counter,
    values: ofQuota(({ cpu }) => cpu.periods),
  },
  {
    name: "container_cpu_cfs_throttled_periods_total",
    help: "Periods in which the CPU quota was used up.",
    type: counter,
    values: ofQuota(({ cpu }) => cpu.throttledPeriods),
  },
  {
    name: "container_cpu_cfs_throttled_seconds_total",
    help: "Time for which tasks were throttled by the CPU quota, in seconds.",
    type: counter,
    values: ofQuota(({ cpu }) => seconds(cpu.throttledNanos)),
  },
  {
    name: "container_cpu_cfs_burst_periods_total",
    help: "Periods in which more than the CPU quota was used, from unused quota of earlier periods.",
    type: counter,
    values: ofQuota(({ cpu }) => cpu.burstPeriods),
  },
  {
    name: "container_cpu_cfs_burst_seconds_total",
    help: "CPU time used beyond the quota in such periods, in seconds.",
    type: counter,
    values: ofQuota(({ cpu }) => seconds(cpu.burstNanos)),
  },
];
