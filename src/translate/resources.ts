import type { DockerResources } from "../docker/index.js";
import type { LinuxContainerResources } from "../gen/runtime/v1/api_pb.js";
import { integer, invalid, unsupported, withoutNul } from "./checks.js";
import { clampOomScoreAdj, type EngineEnvironment } from "./environment.js";
import { memorySwap, updatedMemorySwap } from "./swap.js";
import { checkUnified, unifiedMemory, unifiedResources } from "./unified.js";

/** The kernel's bounds of cpu.shares: what lies outside is taken as the bound, as the kernel does. */
const leastShares = 2;
const mostShares = 262_144;

/**
 * The limits of a new container. Memory without a word on swap means no swap.
 *
 * `unified` overrides the fields of the same meaning, as with every runtime; what Docker has no option for is in
 * {@link cgroupFiles}.
 *
 * Docker cannot limit huge pages: the pod's cgroup, which the kubelet limits, holds them. The kubelet names
 * every page size with 0 for those that a container does not use, which is no demand.
 * @param parent The pod's cgroup as the request gave it; empty: none.
 * @throws ShimError "invalid-argument"; "unsupported" for limits that nobody would keep.
 */
export function createResources(
  resources: LinuxContainerResources | undefined,
  env: EngineEnvironment,
  parent: string,
): DockerResources {
  if (!resources) return { oomScoreAdj: clampOomScoreAdj(0, env) };
  checkUnified(resources.unified, env);
  if (parent === "") checkHugepages(resources, "because there is no cgroup_parent whose limit would hold");
  const memory = unifiedMemory(resources.unified) ?? memoryLimit(resources);
  const memoryBytes = memory === "max" ? 0 : memory;
  const score = integer(resources.oomScoreAdj, "resources.oom_score_adj", { min: -1000n, max: 1000n });
  return {
    ...cpu(resources),
    ...unifiedResources(resources.unified),
    ...(memoryBytes > 0 ? { memoryBytes } : {}),
    ...memorySwap(resources, memoryBytes, env),
    oomScoreAdj: clampOomScoreAdj(score, env),
  };
}

/**
 * The limits to change of a container that exists: 0 and "" are left as they are. oom_score_adj stays too:
 * 0 cannot be told from "not given", and no runtime changes it after the start.
 * @param current The limits as they are; without them the container is taken to have no swap.
 * @throws ShimError "invalid-argument"; "unsupported" for what Docker cannot change. Nothing is changed then.
 */
export function resourcesUpdate(
  resources: LinuxContainerResources,
  env: EngineEnvironment,
  current: DockerResources = {},
): DockerResources {
  checkUnified(resources.unified, env);
  checkHugepages(resources, "for Docker cannot change it");
  const memoryBytes = unifiedMemory(resources.unified) ?? memoryLimit(resources);
  if (memoryBytes === "max")
    throw unsupported(
      'resources.unified["memory.max"]',
      "is max, but Docker cannot take a memory limit away",
    );
  return {
    ...cpu(resources),
    ...unifiedResources(resources.unified),
    ...(memoryBytes > 0 ? { memoryBytes } : {}),
    ...updatedMemorySwap(resources, memoryBytes, env, current),
  };
}

function cpu(resources: LinuxContainerResources): DockerResources {
  const period = integer(resources.cpuPeriod, "resources.cpu_period", { min: 0n });
  const quota = integer(resources.cpuQuota, "resources.cpu_quota", { min: -1n });
  const shares = integer(resources.cpuShares, "resources.cpu_shares", { min: 0n });
  const cpus = withoutNul(resources.cpusetCpus, "resources.cpuset_cpus");
  const mems = withoutNul(resources.cpusetMems, "resources.cpuset_mems");
  return {
    ...(period === 0 ? {} : { cpuPeriodMicros: period }),
    ...(quota === 0 ? {} : { cpuQuotaMicros: quota }),
    ...(shares === 0 ? {} : { cpuShares: Math.min(Math.max(shares, leastShares), mostShares) }),
    ...(cpus === "" ? {} : { cpusetCpus: cpus }),
    ...(mems === "" ? {} : { cpusetMems: mems }),
  };
}

function memoryLimit(resources: LinuxContainerResources): number {
  return integer(resources.memoryLimitInBytes, "resources.memory_limit_in_bytes", { min: 0n });
}

function checkHugepages({ hugepageLimits }: LinuxContainerResources, why: string): void {
  for (const { pageSize, limit } of hugepageLimits) {
    if (pageSize === "") throw invalid("resources.hugepage_limits", "has an entry without page_size");
    if (limit > 0n) {
      throw unsupported("resources.hugepage_limits", `limits pages of ${pageSize}, which is refused ${why}`);
    }
  }
}
