import type { DockerResources } from "../docker/index.js";
import type { LinuxContainerResources } from "../gen/runtime/v1/api_pb.js";
import { integer, invalid, unsupported } from "./checks.js";
import type { EngineEnvironment } from "./environment.js";
import { swapFile, unifiedSwap } from "./unified.js";

const field = "resources.memory_swap_limit_in_bytes";
const unlimited = -1;

type SwapLimit = Pick<DockerResources, "memorySwapBytes">;

/**
 * Docker's limit of memory and swap for a new container: the one asked for, else that of memory, which is
 * no swap: without one, Docker would allow as much swap as memory. Nothing where the engine cannot count swap.
 *
 * Docker limits swap only beside memory. What `memory.swap.max` says without a memory limit is written by docker-cri.
 */
export function memorySwap(
  resources: LinuxContainerResources,
  memoryBytes: number,
  env: EngineEnvironment,
): SwapLimit {
  const asked = askedFor(resources, memoryBytes);
  if (asked !== undefined && asked > 0) {
    if (memoryBytes === 0) {
      throw unsupported(
        field,
        "needs memory_limit_in_bytes beside it: Docker limits no swap without memory; memory.swap.max does without",
      );
    }
    if (asked < memoryBytes) throw belowMemory(asked, memoryBytes);
  }
  if (memoryBytes === 0 || !env.swapLimitSupported) return {};
  return { memorySwapBytes: asked ?? memoryBytes };
}

/**
 * The same for a container that exists. Where only memory changes, a container without swap stays without,
 * and another keeps its limit of memory and swap, raised where memory would pass it.
 * @param memoryBytes The new memory limit; 0: unchanged.
 */
export function updatedMemorySwap(
  resources: LinuxContainerResources,
  memoryBytes: number,
  env: EngineEnvironment,
  current: DockerResources,
): SwapLimit {
  const { memoryBytes: memoryNow = 0, memorySwapBytes: swapNow = memoryNow } = current;
  const memory = memoryBytes || memoryNow;
  const asked = askedFor(resources, memory);
  if (asked !== undefined && asked > 0) {
    if (memory === 0) throw unsupported(field, "needs a memory limit beside it: the container has none");
    if (asked < memory) throw belowMemory(asked, memory);
  }
  if (!env.swapLimitSupported) return {};
  if (asked !== undefined) return { memorySwapBytes: asked };
  if (memoryBytes === 0) return {};
  // Docker compares the new memory limit with the old -1 unless that is said again.
  if (swapNow === unlimited) return { memorySwapBytes: unlimited };
  return { memorySwapBytes: swapNow === memoryNow ? memoryBytes : Math.max(swapNow, memoryBytes) };
}

/**
 * "No swap" as a file of cgroup v2, where it has to be kept: runc 1.1 writes it and does not tell systemd, which sets the
 * file to max when it applies its own values again.
 */
export function noSwapFile(
  { memoryBytes, memorySwapBytes }: DockerResources,
  { cgroupDriver, swapLimitSupported }: EngineEnvironment,
): Record<string, string> {
  const noSwap = memoryBytes !== undefined && memoryBytes > 0 && memoryBytes === memorySwapBytes;
  return noSwap && swapLimitSupported && cgroupDriver === "systemd" ? { [swapFile]: "0" } : {};
}

/** Memory and swap together; -1 is unlimited, undefined is not given, or nothing that Docker can be told. */
function askedFor(resources: LinuxContainerResources, memoryBytes: number): number | undefined {
  const limit = integer(resources.memorySwapLimitInBytes, field, { min: -1n });
  if (limit !== 0) return limit;
  const swap = unifiedSwap(resources.unified);
  if (swap === undefined || memoryBytes === 0) return undefined;
  if (swap === "max") return unlimited;
  return memoryBytes + swap;
}

function belowMemory(asked: number, memoryBytes: number) {
  return invalid(
    field,
    `is ${asked}, below the memory limit of ${memoryBytes}: it counts memory and swap together`,
  );
}
