import { present } from "../base/index.js";
import type { CgroupUsage } from "./usage.js";

/**
 * What several cgroups use together, for a pod that has none of its own. Waiting for a resource cannot be added up, and
 * neither can limits.
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

/** A value that is unknown for one is unknown for the sum. */
function sumOfKnown(values: readonly (bigint | undefined)[]): bigint | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === values.length ? sum(known) : undefined;
}

function sum(values: readonly bigint[]): bigint {
  return values.reduce((total, value) => total + value, 0n);
}
