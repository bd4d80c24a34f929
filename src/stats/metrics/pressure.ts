import { counter, seconds, single, type MetricDefinition } from "./definition.js";
import type { CgroupSource } from "./source.js";

type Resource = "cpu" | "memory" | "io";

function stalled(resource: Resource, name: string): MetricDefinition<CgroupSource> {
  return {
    name: `container_pressure_${resource}_stalled_seconds_total`,
    help: `Time for which all tasks waited for ${name}, in seconds.`,
    type: counter,
    values: single(({ usage }) => seconds(usage[resource]?.pressure?.full?.totalNanos)),
  };
}

function waiting(resource: Resource, name: string): MetricDefinition<CgroupSource> {
  return {
    name: `container_pressure_${resource}_waiting_seconds_total`,
    help: `Time for which at least one task waited for ${name}, in seconds.`,
    type: counter,
    values: single(({ usage }) => seconds(usage[resource]?.pressure?.some.totalNanos)),
  };
}

export const pressureMetrics: readonly MetricDefinition<CgroupSource>[] = [
  stalled("cpu", "a CPU"),
  waiting("cpu", "a CPU"),
  stalled("memory", "memory"),
  waiting("memory", "memory"),
  stalled("io", "block devices"),
  waiting("io", "block devices"),
];
