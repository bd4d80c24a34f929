import { ShimError } from "../../../base/index.js";
import type { DockerResources } from "../../../docker/index.js";
import type { EngineSettings } from "../settings.js";

const leastMemoryBytes = 6 * 1024 * 1024;

/**
 * Checks limits as Docker does.
 * @throws ShimError "invalid-argument"
 */
export function checkResources(
  resources: DockerResources,
  settings: EngineSettings,
  operation: string,
): void {
  const refuse = (why: string): never => {
    throw new ShimError("invalid-argument", `${operation}: ${why}`, { operation });
  };
  const { memoryBytes = 0, memorySwapBytes = 0, memoryReservationBytes = 0 } = resources;
  const { cpuPeriodMicros = 0, cpuQuotaMicros = 0, cpuShares = 0 } = resources;
  if (memoryBytes !== 0 && memoryBytes < leastMemoryBytes) refuse("the least memory limit is 6 MiB");
  if (memorySwapBytes > 0 && memoryBytes === 0) refuse("a limit of memory and swap needs a memory limit");
  if (memorySwapBytes > 0 && memorySwapBytes < memoryBytes) {
    refuse("the limit of memory and swap is below the memory limit");
  }
  if (memoryReservationBytes < 0) refuse("a memory reservation cannot be negative");
  if (memoryBytes !== 0 && memoryReservationBytes > memoryBytes) {
    refuse("the memory reservation is above the memory limit");
  }
  if (cpuShares < 0) refuse(`cpu shares of ${cpuShares} are below 0`);
  if (cpuPeriodMicros !== 0 && (cpuPeriodMicros < 1000 || cpuPeriodMicros > 1_000_000)) {
    refuse("a cpu period lies between 1 ms and 1 s");
  }
  if (cpuQuotaMicros > 0 && cpuQuotaMicros < 1000) refuse("the least cpu quota is 1 ms");
  checkSet(resources.cpusetCpus, settings.cpus, "cpus", refuse);
  checkSet(resources.cpusetMems, 1, "memory nodes", refuse);
  const { oomScoreAdj = 0 } = resources;
  if (oomScoreAdj < -1000 || oomScoreAdj > 1000)
    refuse(`an oom score of ${oomScoreAdj} is not in -1000 to 1000`);
}

function checkSet(
  text: string | undefined,
  available: number,
  what: string,
  refuse: (why: string) => never,
): void {
  if (text === undefined || text === "") return;
  for (const range of text.split(",")) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(range);
    if (!match) return refuse(`${JSON.stringify(text)} is no list of ${what}`);
    const last = Number(match[2] ?? match[1]);
    if (last >= available) refuse(`${what} ${text} were asked for, there are 0-${available - 1}`);
  }
}

/** Sets the defaults that Docker sets at create: as much swap as memory. */
export function withDefaults(resources: DockerResources): DockerResources {
  const { memoryBytes, memorySwapBytes } = resources;
  if (memoryBytes === undefined || memoryBytes <= 0 || memorySwapBytes) return resources;
  return { ...resources, memorySwapBytes: memoryBytes * 2 };
}

/**
 * Merges changed limits into those of a container.
 * @throws ShimError "invalid-argument", also when the memory limit would rise above that of memory and swap;
 *   "unsupported" for limits that Docker cannot change.
 */
export function mergeResources(
  current: DockerResources,
  change: DockerResources,
  settings: EngineSettings,
): DockerResources {
  const operation = "containers.update";
  if (change.oomScoreAdj !== undefined) {
    throw new ShimError("unsupported", `${operation}: Docker cannot change the oom score of a container`, {
      operation,
    });
  }
  const swapBytes = current.memorySwapBytes ?? 0;
  // Without a limit Docker compares with 0.
  if (!change.memorySwapBytes && (change.memoryBytes ?? 0) > swapBytes) {
    throw new ShimError(
      "invalid-argument",
      `${operation}: the memory limit would be above the limit of memory and swap (${swapBytes}); change both at once`,
      { operation },
    );
  }
  const merged = { ...current, ...definedOf(change) };
  checkResources(merged, settings, operation);
  return merged;
}

function definedOf(resources: DockerResources): DockerResources {
  return Object.fromEntries(Object.entries(resources).filter(([, value]) => value !== undefined));
}
