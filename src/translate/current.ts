import { create } from "@bufbuild/protobuf";
import type { DockerContainer, DockerResources } from "../docker/index.js";
import {
  LinuxContainerResourcesSchema,
  LinuxContainerUserSchema,
  type LinuxContainerResources,
  type LinuxContainerUser,
} from "../gen/runtime/v1/api_pb.js";

/** The limits that Docker holds for a container now, after all updates. */
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
 * Who the first process was, where that is certain: with uid and gid both given as numbers Docker looks
 * nothing up in the image. Otherwise undefined, for a gid of 0 would be a guess.
 */
export function currentUser({ config, host }: DockerContainer): LinuxContainerUser | undefined {
  const [, uid, gid] = /^(\d{1,10}):(\d{1,10})$/.exec(config.user ?? "") ?? [];
  if (uid === undefined || gid === undefined) return undefined;
  const groups = host.groupAdd ?? [];
  if (!groups.every((group) => /^\d{1,10}$/.test(group))) return undefined;
  return create(LinuxContainerUserSchema, {
    uid: BigInt(uid),
    gid: BigInt(gid),
    supplementalGroups: groups.map((group) => BigInt(group)),
  });
}

const largestInt64 = 2n ** 63n - 1n;

/** A time as CRI can carry it: a nonsense date far ahead must not make the whole answer unsendable. */
export function timeNanos(nanos: bigint | undefined): bigint {
  if (nanos === undefined || nanos < 0n) return 0n;
  return nanos > largestInt64 ? largestInt64 : nanos;
}

/** A whole number that fits, else undefined. */
export function int32(value: number | undefined): number | undefined {
  return value !== undefined && value === (value | 0) ? value : undefined;
}

function int64(value: number | undefined): bigint {
  return value !== undefined && Number.isSafeInteger(Math.trunc(value)) ? BigInt(Math.trunc(value)) : 0n;
}
