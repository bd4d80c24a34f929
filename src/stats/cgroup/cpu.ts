import type { CgroupPlace, CgroupPlaces } from "./places.js";
import { numberOf, uint64, valueOf } from "./text.js";

/** Reads a kernel file; undefined when it is missing. */
export type ReadFile = (path: string) => string | undefined;

const nanosPerMicro = 1_000n;
/** `USER_HZ`, which is 100 wherever Linux runs containers. */
const nanosPerTick = 10_000_000n;

/** CPU time used, in nanoseconds. @see kernel, cgroup-v1/cpuacct `cpuacct.usage`; cgroup-v2 `cpu.stat` */
export function readCpuNanos(read: ReadFile, { version, folder }: CgroupPlace): bigint | undefined {
  if (version === 1) return numberOf(read(`${folder}/cpuacct.usage`));
  return nanos(valueOf(read(`${folder}/cpu.stat`) ?? "", "usage_usec"));
}

/** CPU time by mode, and throttling by the quota. Times in nanoseconds. */
export interface CpuDetail {
  /** Whether there is a quota; without one there are no periods. */
  readonly hasQuota: boolean;
  readonly userNanos?: bigint | undefined;
  readonly systemNanos?: bigint | undefined;
  readonly periods?: bigint | undefined;
  readonly throttledPeriods?: bigint | undefined;
  readonly throttledNanos?: bigint | undefined;
  readonly burstPeriods?: bigint | undefined;
  readonly burstNanos?: bigint | undefined;
}

/** @see kernel, `cpuacct.stat` and `cpu.stat` of v1, `cpu.stat` of v2 */
export function readCpuDetail(read: ReadFile, { cpu, quota }: CgroupPlaces): CpuDetail {
  const stat = (place: CgroupPlace | undefined, name: string) =>
    (place === undefined ? undefined : read(`${place.folder}/${name}`)) ?? "";
  const ofQuota = stat(quota, "cpu.stat");
  const spent = cpu?.version === 1 ? stat(cpu, "cpuacct.stat") : stat(cpu, "cpu.stat");
  const isV1 = quota?.version === 1;
  const limit = isV1 ? stat(quota, "cpu.cfs_quota_us") : stat(quota, "cpu.max");
  return {
    hasQuota: /^\d/.test(limit),
    ...(cpu?.version === 1
      ? { userNanos: ticks(valueOf(spent, "user")), systemNanos: ticks(valueOf(spent, "system")) }
      : {
          userNanos: nanos(valueOf(spent, "user_usec")),
          systemNanos: nanos(valueOf(spent, "system_usec")),
        }),
    periods: valueOf(ofQuota, "nr_periods"),
    throttledPeriods: valueOf(ofQuota, "nr_throttled"),
    throttledNanos: isV1 ? valueOf(ofQuota, "throttled_time") : nanos(valueOf(ofQuota, "throttled_usec")),
    burstPeriods: valueOf(ofQuota, "nr_bursts"),
    burstNanos: isV1 ? valueOf(ofQuota, "burst_time") : nanos(valueOf(ofQuota, "burst_usec")),
  };
}

function nanos(micros: bigint | undefined): bigint | undefined {
  return micros === undefined ? undefined : uint64(micros * nanosPerMicro);
}

function ticks(count: bigint | undefined): bigint | undefined {
  return count === undefined ? undefined : uint64(count * nanosPerTick);
}
