import type { DockerResources } from "../docker/index.js";
import { integer, invalid, quote, unsupported } from "./validation.js";
import type { EngineEnvironment } from "./environment.js";

export const swapFile = "memory.swap.max";
const memoryFile = "memory.max";

const flag = /^[01]$/;
const bytes = /^(max|\d{1,16}[kKmMgGtT]?)$/;
const percent = /^(max|\d{1,3}(\.\d{1,2})?)$/;
/** Device limits, which only the kernel can validate. */
const line = /^[\x20-\x7e]{1,1024}$/;
const hugetlbFile = /^hugetlb\.\d{1,9}[KMGT]B\.(rsvd\.)?max$/;

/** Files with an equivalent option in Docker. */
const dockerFiles: Readonly<Record<string, RegExp>> = {
  "cpu.max": /^(max|[1-9]\d{0,15})( [1-9]\d{0,15})?$/,
  "cpuset.cpus": /^[\d,-]{1,1024}$/,
  "cpuset.mems": /^[\d,-]{1,1024}$/,
  [memoryFile]: bytes,
  [swapFile]: bytes,
  "pids.max": /^(max|[1-9]\d{0,15})$/,
};

/**
 * Files that docker-cri writes itself. Docker's CPU shares are not used for cpu.weight, because the conversion differs
 * between runc releases. Docker's memory reservation is not used for memory.low, because its minimum is 6 MiB.
 */
const ownFiles: Readonly<Record<string, RegExp>> = {
  "cpu.idle": flag,
  "cpu.max.burst": /^\d{1,16}$/,
  "cpu.uclamp.max": percent,
  "cpu.uclamp.min": percent,
  "cpu.weight": /^[1-9]\d{0,4}$/,
  "cpu.weight.nice": /^-?\d{1,2}$/,
  "io.bfq.weight": line,
  "io.latency": line,
  "io.max": line,
  "io.weight": line,
  "memory.high": bytes,
  "memory.low": bytes,
  "memory.min": bytes,
  "memory.oom.group": flag,
  "memory.swap.high": bytes,
  "memory.zswap.max": bytes,
  "memory.zswap.writeback": flag,
  "misc.max": line,
  "rdma.max": line,
};

type Unified = Readonly<Record<string, string>>;

/**
 * Validates the cgroup v2 files of a request.
 * @throws ShimError "unsupported" for an unknown file, or on cgroup v1; "invalid-argument" for a bad value.
 * @see Linux, Documentation/admin-guide/cgroup-v2.rst
 */
export function checkUnified(unified: Unified, env: EngineEnvironment): void {
  for (const [file, value] of Object.entries(unified)) {
    const field = `resources.unified[${quote(file)}]`;
    if (env.cgroupVersion === 1) {
      throw unsupported(field, "is a cgroup v2 file, but this node has cgroup v1");
    }
    const pattern = patternOf(file);
    if (!pattern) throw unsupported(field, "is not a cgroup v2 limit that docker-cri supports: leave it out");
    if (!pattern.test(value)) throw invalid(field, `has an invalid value: ${quote(value)}`);
  }
}

function patternOf(file: string): RegExp | undefined {
  if (Object.hasOwn(dockerFiles, file)) return dockerFiles[file];
  if (Object.hasOwn(ownFiles, file)) return ownFiles[file];
  return hugetlbFile.test(file) ? bytes : undefined;
}

/**
 * The files that docker-cri writes into the container's cgroup, with their values.
 * @param memoryBytes The container's memory limit. Docker limits swap only together with memory.
 */
export function cgroupFiles(
  unified: Unified,
  memoryBytes: number | undefined,
  { swapLimitSupported }: EngineEnvironment,
): Record<string, string> {
  const ownSwap = swapLimitSupported && !memoryBytes;
  const own = Object.entries(unified).filter(
    ([file]) => !Object.hasOwn(dockerFiles, file) || (file === swapFile && ownSwap),
  );
  return Object.fromEntries(own);
}

/**
 * The files of a container after an update.
 * @param before The files before the update.
 * @param memoryBytes The container's memory limit after the update.
 */
export function updatedCgroupFiles(
  before: Unified,
  { unified, cpuShares }: { readonly unified: Unified; readonly cpuShares: bigint },
  memoryBytes: number | undefined,
  env: EngineEnvironment,
): Record<string, string> {
  const asked = cgroupFiles(unified, memoryBytes, env);
  const replaced = new Set(memoryBytes ? [swapFile] : []);
  // Both files are other forms of CPU shares.
  const weights = ["cpu.weight", "cpu.weight.nice"];
  if (cpuShares > 0n || weights.some((file) => file in asked)) for (const file of weights) replaced.add(file);
  return { ...Object.fromEntries(Object.entries(before).filter(([file]) => !replaced.has(file))), ...asked };
}

/** The entries with an equivalent option in Docker, except memory and swap. */
export function unifiedResources(unified: Unified): DockerResources {
  const [quota, period] = unified["cpu.max"]?.split(" ") ?? [];
  const { "cpuset.cpus": cpusetCpus, "cpuset.mems": cpusetMems, "pids.max": pids } = unified;
  return {
    ...(quota === undefined ? {} : { cpuQuotaMicros: countOrUnlimited(quota) }),
    ...(period === undefined ? {} : { cpuPeriodMicros: Number(period) }),
    ...(cpusetCpus === undefined ? {} : { cpusetCpus }),
    ...(cpusetMems === undefined ? {} : { cpusetMems }),
    ...(pids === undefined ? {} : { pidsLimit: countOrUnlimited(pids) }),
  };
}

/** Docker uses -1 for the kernel's max. */
function countOrUnlimited(text: string): number {
  return text === "max" ? -1 : Number(text);
}

/** The value of `memory.max` in bytes; undefined if unset. @throws ShimError "invalid-argument" */
export function unifiedMemory(unified: Unified): number | "max" | undefined {
  return byteCount(unified, memoryFile, 1n);
}

/** The value of `memory.swap.max` in bytes, without memory; undefined if unset. @throws ShimError "invalid-argument" */
export function unifiedSwap(unified: Unified): number | "max" | undefined {
  return byteCount(unified, swapFile, 0n);
}

function byteCount(unified: Unified, file: string, min: bigint): number | "max" | undefined {
  const text = unified[file];
  if (text === undefined || text === "max") return text;
  const field = `resources.unified["${file}"]`;
  const [, digits, unit = ""] = /^(\d{1,16})([kKmMgGtT]?)$/.exec(text) ?? [];
  if (digits === undefined) throw invalid(field, `is not a number of bytes or "max": ${quote(text)}`);
  return integer(BigInt(digits) * 1024n ** BigInt(" kmgt".indexOf(unit.toLowerCase() || " ")), field, {
    min,
  });
}
