import { create } from "@bufbuild/protobuf";
import type { DockerContainer, DockerResources } from "../docker/index.js";
import {
  LinuxContainerResourcesSchema,
  LinuxContainerUserSchema,
  type LinuxContainerResources,
  type LinuxContainerUser,
} from "../gen/runtime/v1/api_pb.js";

/** The current limits of a container, after all updates. */
export function currentResources(resources: DockerResources): LinuxContainerResources {
  return create(LinuxContainerResourcesSchema, {
    cpuPeriod: int64(resources.cpuPeriodMicros),
    cpuQuota: int64(resources.cpuQuotaMicros),
    cpuShares: int64(resources.cpuShares),
    cpusetCpus: resources.cpusetCpus ?? "",
    cpusetMems: resources.cpusetMems ?? "",
    memoryLimitInBytes: int64(resources.memoryBytes),
    memorySwapLimitInBytes: int64(resources.memorySwapBytes),
    oomScoreAdj: int64(resources.oomScoreAdj),
  });
}

/**
 * The user of the first process, if uid and gid are both numeric. Undefined otherwise: Docker resolves names and the
 * default gid inside the image.
 */
export function currentUser({ config, host }: DockerContainer): LinuxContainerUser | undefined {
  const [, uid, gid] = /^(\d{1,10}):(\d{1,10})$/.exec(config.user ?? "") ?? [];
  if (uid === undefined || gid === undefined) return undefined;
  const groups = host.groupAdd ?? [];
  if (!groups.every((group) => /^\d{1,10}$/.test(group))) return undefined;
  return create(LinuxContainerUserSchema, {
    uid: BigInt(uid),
    gid: BigInt(gid),
    // Docker gives a process its own group as a supplemental one too.
    supplementalGroups: [...new Set([gid, ...groups])].map(BigInt),
  });
}

const largestInt64 = 2n ** 63n - 1n;

/** Clamps a time to int64: a bogus date in the far future must not break the response. */
export function timeNanos(nanos: bigint | undefined): bigint {
  if (nanos === undefined || nanos < 0n) return 0n;
  return nanos > largestInt64 ? largestInt64 : nanos;
}

/** The value if it is a 32-bit integer, else undefined. */
export function int32(value: number | undefined): number | undefined {
  return value !== undefined && value === (value | 0) ? value : undefined;
}

function int64(value: number | undefined): bigint {
  return value !== undefined && Number.isSafeInteger(Math.trunc(value)) ? BigInt(Math.trunc(value)) : 0n;
}
