import type { DockerResources } from "../docker/index.js";
import type { LinuxContainerResources } from "../gen/runtime/v1/api_pb.js";
import { integer, invalid, unsupported } from "./validation.js";
import type { EngineEnvironment } from "./environment.js";
import { swapFile, unifiedSwap } from "./cgroup-v2.js";

const field = "resources.memory_swap_limit_in_bytes";
const unlimited = -1;

type SwapLimit = Pick<DockerResources, "memorySwapBytes">;

/**
 * Docker's limit of memory plus swap for a new container: the requested limit, else the memory limit, which means no
 * swap. Docker's own default allows as much swap as memory. Empty if the engine does not support swap limits.
 *
 * Docker limits swap only together with memory. `memory.swap.max` without a memory limit is one of {@link cgroupFiles}.
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
        "needs memory_limit_in_bytes: Docker limits swap only together with memory; unified memory.swap.max needs none",
      );
    }
    if (asked < memoryBytes) throw belowMemory(asked, memoryBytes);
  }
  if (memoryBytes === 0 || !env.swapLimitSupported) return {};
  return { memorySwapBytes: asked ?? memoryBytes };
}

/**
 * The same for an existing container. If only memory changes, a container without swap stays without swap; another keeps
 * its limit of memory plus swap, raised to the memory limit if necessary.
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
    if (memory === 0) throw unsupported(field, "needs a memory limit, but the container has none");
    if (asked < memory) throw belowMemory(asked, memory);
  }
  if (!env.swapLimitSupported) return {};
  if (asked !== undefined) return { memorySwapBytes: asked };
  if (memoryBytes === 0) return {};
  // Without an explicit -1 Docker compares the new memory limit with the old -1, and rejects it.
  if (swapNow === unlimited) return { memorySwapBytes: unlimited };
  return { memorySwapBytes: swapNow === memoryNow ? memoryBytes : Math.max(swapNow, memoryBytes) };
}

/**
 * The cgroup v2 file for "no swap", if it must be rewritten: runc 1.1 writes the file without informing systemd, which
 * resets it to max when it reapplies its own values.
 */
export function noSwapFile(
  { memoryBytes, memorySwapBytes }: DockerResources,
  { cgroupDriver, swapLimitSupported }: EngineEnvironment,
): Record<string, string> {
  const noSwap = memoryBytes !== undefined && memoryBytes > 0 && memoryBytes === memorySwapBytes;
  return noSwap && swapLimitSupported && cgroupDriver === "systemd" ? { [swapFile]: "0" } : {};
}

/** The requested memory plus swap. -1: unlimited. Undefined: unset, or not expressible as an option of Docker. */
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
