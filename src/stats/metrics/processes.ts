import { gauge, single, type MetricDefinition } from "./definition.js";
import type { CgroupSource } from "./source.js";

const count = (number: number | undefined) => (number === undefined ? undefined : BigInt(number));

export const processMetrics: readonly MetricDefinition<CgroupSource>[] = [
  {
    name: "container_processes",
    help: "Processes.",
    type: gauge,
    values: single(({ usage }) => usage.processes?.processes),
  },
  {
    name: "container_file_descriptors",
    help: "Open files of all processes.",
    type: gauge,
    values: single(({ container }) => count(container?.openFiles?.files)),
  },
  {
    name: "container_sockets",
    help: "Open sockets of all processes.",
    type: gauge,
    values: single(({ container }) => count(container?.openFiles?.sockets)),
  },
  {
    name: "container_threads_max",
    help: "Maximum number of threads; 0 without a limit.",
    type: gauge,
    values: single(({ usage }) => usage.processes && (usage.processes.threadLimit ?? 0n)),
  },
  {
    name: "container_threads",
    help: "Threads.",
    type: gauge,
    values: single(({ usage }) => usage.processes?.threads),
  },
  {
    name: "container_ulimits_soft",
    help: "Soft resource limits of the first process.",
    type: gauge,
    labels: ["ulimit"],
    values: ({ container }) => [{ value: container?.mostOpenFiles, labels: ["max_open_files"] }],
  },
];
