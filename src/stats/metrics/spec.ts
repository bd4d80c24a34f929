import type { DockerResources } from "../../docker/index.js";
import { gauge, seconds, single, type MetricDefinition } from "./definition.js";
import type { CgroupSource } from "./source.js";

const defaultPeriodMicros = 100_000;
const defaultShares = 1024;
const pageBytes = 4096;

/** A limit of memory as the kernel holds it, in whole pages; none is 0. */
function wholePages(bytes: number): number {
  return bytes <= 0 ? 0 : bytes - (bytes % pageBytes);
}

/** A setting of a container; those of a pod are managed by kubelet. */
function setting(value: (resources: DockerResources, source: CgroupSource) => number | undefined) {
  return single<CgroupSource>((source) => {
    if (!source.container) return undefined;
    const found = value(source.container.docker.host.resources ?? {}, source);
    return found === undefined ? undefined : BigInt(found);
  });
}

/** v1 limits the sum of memory and swap, v2 only swap. */
function swapLimit(
  { memoryBytes = 0, memorySwapBytes = 0 }: DockerResources,
  { places }: CgroupSource,
): number {
  if (memorySwapBytes <= 0) return 0;
  return wholePages(places.memory?.version === 2 ? memorySwapBytes - memoryBytes : memorySwapBytes);
}

export const specMetrics: readonly MetricDefinition<CgroupSource>[] = [
  {
    name: "container_last_seen",
    help: "When the container was last seen, in seconds since the Unix epoch.",
    type: gauge,
    values: single(({ nowNanos }) => seconds(nowNanos)),
  },
  {
    name: "container_creation_time_seconds",
    help: "When the container was created, in seconds since the Unix epoch.",
    type: gauge,
    values: single(({ createdAtNanos }) => seconds(createdAtNanos)),
  },
  {
    name: "container_start_time_seconds",
    help: "When the container was started, in seconds since the Unix epoch.",
    type: gauge,
    values: single(({ startedAtNanos }) => seconds(startedAtNanos)),
  },
  {
    name: "container_spec_cpu_period",
    help: "Period of the CPU quota, in microseconds.",
    type: gauge,
    values: setting(({ cpuPeriodMicros }) => cpuPeriodMicros || defaultPeriodMicros),
  },
  {
    name: "container_spec_cpu_quota",
    help: "CPU time that may be used in a period, in microseconds; absent without a quota.",
    type: gauge,
    values: setting(({ cpuQuotaMicros = 0 }) => (cpuQuotaMicros > 0 ? cpuQuotaMicros : undefined)),
  },
  {
    name: "container_spec_cpu_shares",
    help: "Relative weight for CPU time.",
    type: gauge,
    values: setting(({ cpuShares }) => cpuShares || defaultShares),
  },
  {
    name: "container_spec_memory_limit_bytes",
    help: "Memory limit, in bytes; 0 without a limit.",
    type: gauge,
    values: setting(({ memoryBytes = 0 }) => wholePages(memoryBytes)),
  },
  {
    name: "container_spec_memory_reservation_limit_bytes",
    help: "Memory reservation, in bytes; 0 without one.",
    type: gauge,
    values: setting(({ memoryReservationBytes = 0 }) => wholePages(memoryReservationBytes)),
  },
  {
    name: "container_spec_memory_swap_limit_bytes",
    help: "Limit of memory and swap (cgroup v1) or of swap (cgroup v2), in bytes; 0 without a limit.",
    type: gauge,
    values: setting(swapLimit),
  },
];
