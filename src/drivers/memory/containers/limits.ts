import type { DockerResources } from "../../../docker/index.js";
import type { MemoryEngine } from "../engine.js";
import { cgroupFolder } from "./cgroup.js";
import type { Container } from "./container.js";

/** The cgroup v2 files of limits, with the kernel's value for no limit. */
const unlimited: Readonly<Record<string, string>> = {
  "cpu.max": "max 100000",
  "cpu.weight": "100",
  "memory.high": "max",
  "memory.low": "0",
  "memory.max": "max",
  "memory.min": "0",
  "memory.oom.group": "0",
  "memory.swap.max": "max",
  "pids.max": "max",
};

/** Writes the limits of a container that starts into its cgroup. */
export function writeLimits(engine: MemoryEngine, container: Container): void {
  const { cgroupVersion, tree } = engine.host;
  if (cgroupVersion === 1) return;
  const folder = cgroupFolder(engine, container);
  for (const [file, value] of Object.entries({ ...unlimited, ...limitsOf(container) }))
    tree.replace(`${folder}/${file}`, `${value}\n`, 0o644);
}

/** Writes changed limits. systemd writes all values that it knows, which overwrites those of others. */
export function rewriteLimits(engine: MemoryEngine, container: Container): void {
  const { host, settings } = engine;
  const folder = cgroupFolder(engine, container);
  if (host.cgroupVersion === 1 || !host.tree.exists(folder)) return;
  const reset = settings.cgroupDriver === "systemd" ? unlimited : {};
  for (const [file, value] of Object.entries({ ...reset, ...limitsOf(container) }))
    host.tree.overwrite(`${folder}/${file}`, `${value}\n`);
}

function limitsOf({ host }: Container): Record<string, string> {
  const resources: DockerResources = host.resources ?? {};
  const { memoryBytes = 0, memorySwapBytes = 0, cpuShares = 0, pidsLimit = 0 } = resources;
  const { cpuQuotaMicros = 0, cpuPeriodMicros = 0 } = resources;
  return {
    ...(memoryBytes > 0 ? { "memory.max": String(memoryBytes) } : {}),
    ...(memorySwapBytes > 0 ? { "memory.swap.max": String(memorySwapBytes - memoryBytes) } : {}),
    ...(cpuShares > 0 ? { "cpu.weight": String(1 + Math.floor(((cpuShares - 2) * 9999) / 262_142)) } : {}),
    ...(pidsLimit > 0 ? { "pids.max": String(pidsLimit) } : {}),
    ...(cpuQuotaMicros > 0 ? { "cpu.max": `${cpuQuotaMicros} ${cpuPeriodMicros || 100_000}` } : {}),
  };
}
