import { present } from "../../../base/index.js";
import type { DockerResources } from "../../../docker/index.js";
import {} from "../decode/json.js";

/** Limits, as create and update take them; absent ones are left out. */
export function encodeResources(resources: DockerResources): object {
  return present({
    CpuPeriod: resources.cpuPeriodMicros,
    CpuQuota: resources.cpuQuotaMicros,
    CpuShares: resources.cpuShares,
    CpusetCpus: resources.cpusetCpus,
    CpusetMems: resources.cpusetMems,
    Memory: resources.memoryBytes,
    MemorySwap: resources.memorySwapBytes,
    MemoryReservation: resources.memoryReservationBytes,
    OomScoreAdj: resources.oomScoreAdj,
    PidsLimit: resources.pidsLimit,
  });
}
