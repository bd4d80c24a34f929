import { present } from "../base/index.js";
import { largestUint64 } from "./cgroup/index.js";
import type { CgroupUsage } from "./usage.js";

/**
 * The sum of the usage of several cgroups, for a pod without its own cgroup. Pressure values and limits cannot be added
 * and are left out.
 */
export function sumOf(usages: readonly CgroupUsage[]): CgroupUsage {
  const cpus = usages.flatMap(({ cpu }) => cpu ?? []);
  const memories = usages.flatMap(({ memory }) => memory ?? []);
  const processes = usages.flatMap((usage) => usage.processes ?? []);
  const [cpu] = cpus;
  const [memory] = memories;
  const [process] = processes;
  return present({
    cpu:
      cpu &&
      present({
        readAtNanos: cpu.readAtNanos,
        usageCoreNanos: sum(cpus.map(({ usageCoreNanos }) => usageCoreNanos)),
        usageNanoCores: sumOfKnown(cpus.map(({ usageNanoCores }) => usageNanoCores)),
      }),
    memory:
      memory &&
      present({
        readAtNanos: memory.readAtNanos,
        usageBytes: sum(memories.map(({ usageBytes }) => usageBytes)),
        workingSetBytes: sum(memories.map(({ workingSetBytes }) => workingSetBytes)),
        rssBytes: sumOfKnown(memories.map(({ rssBytes }) => rssBytes)),
        pageFaults: sumOfKnown(memories.map(({ pageFaults }) => pageFaults)),
        majorPageFaults: sumOfKnown(memories.map(({ majorPageFaults }) => majorPageFaults)),
      }),
    processes:
      process &&
      present({
        readAtNanos: process.readAtNanos,
        processes: sum(processes.map((each) => each.processes)),
        threads: sumOfKnown(processes.map(({ threads }) => threads)),
      }),
  });
}

/** If a value is unknown for one, the sum is unknown. */
function sumOfKnown(values: readonly (bigint | undefined)[]): bigint | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === values.length ? sum(known) : undefined;
}

/** At most what CRI's messages can hold. */
function sum(values: readonly bigint[]): bigint {
  const total = values.reduce((subtotal, value) => subtotal + value, 0n);
  return total < largestUint64 ? total : largestUint64;
}
