import type { DockerResources } from "../docker/index.js";
import type { LinuxContainerResources } from "../gen/runtime/v1/api_pb.js";
import { integer, invalid, unsupported, withoutNul } from "./validation.js";
import { clampOomScoreAdj, type EngineEnvironment } from "./environment.js";
import { memorySwap, updatedMemorySwap } from "./swap.js";
import { checkUnified, unifiedMemory, unifiedResources } from "./cgroup-v2.js";

/** The kernel's bounds of cpu.shares. Other values are clamped, as the kernel does. */
const leastShares = 2;
const mostShares = 262_144;

/**
 * The limits of a new container. A memory limit without a swap limit means no swap.
 *
 * `unified` overrides the fields of the same meaning, as in every runtime. Entries without an option in Docker are in
 * {@link cgroupFiles}.
 *
 * Docker has no option for huge pages: the kubelet sets those limits on the pod's cgroup. It sends 0 for every page size
 * that a container does not use, which is ignored.
 * @param parent The pod's cgroup of the request. Empty: none.
 * @throws ShimError "invalid-argument"; "unsupported" for limits that cannot be enforced.
 */
export function createResources(
  resources: LinuxContainerResources | undefined,
  env: EngineEnvironment,
  parent: string,
): DockerResources {
  if (!resources) return { oomScoreAdj: clampOomScoreAdj(0, env) };
  checkUnified(resources.unified, env);
  if (parent === "") checkHugepages(resources, "because there is no cgroup_parent to enforce the limit");
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
 * The limits to update of an existing container: 0 and "" mean unchanged. oom_score_adj is never updated: 0 is both a
 * value and the default, and no runtime changes it after the start.
 * @param current The current limits. Without them the container is assumed to have no swap.
 * @throws ShimError "invalid-argument"; "unsupported" for limits that Docker cannot change.
 */
export function resourcesUpdate(
  resources: LinuxContainerResources,
  env: EngineEnvironment,
  current: DockerResources = {},
): DockerResources {
  checkUnified(resources.unified, env);
  checkHugepages(resources, "because Docker cannot change it");
  const memoryBytes = unifiedMemory(resources.unified) ?? memoryLimit(resources);
  if (memoryBytes === "max")
    throw unsupported('resources.unified["memory.max"]', "is max, but Docker cannot remove a memory limit");
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
