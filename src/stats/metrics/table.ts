import { create } from "@bufbuild/protobuf";
import { deepFreeze } from "../../base/index.js";
import { MetricDescriptorSchema, type MetricDescriptor } from "../../gen/runtime/v1/api_pb.js";
import { cpuMetrics } from "./cpu.js";
import { diskMetrics } from "./disk.js";
import { memoryMetrics } from "./memory.js";
import { networkMetrics } from "./network.js";
import { pressureMetrics } from "./pressure.js";
import { processMetrics } from "./processes.js";
import { specMetrics } from "./spec.js";

/** The labels of all metrics. */
export const baseLabels = ["container", "id", "image", "name", "namespace", "pod"] as const;

/** The metrics of containers, and of the cgroups of pods. */
export const cgroupMetrics = [
  ...specMetrics,
  ...cpuMetrics,
  ...memoryMetrics,
  ...diskMetrics,
  ...processMetrics,
  ...pressureMetrics,
];

/** The metrics of the network namespaces of pods. */
export const podNetworkMetrics = networkMetrics;

/** The descriptors of ListMetricDescriptors. */
export const metricDescriptors: readonly MetricDescriptor[] = [...cgroupMetrics, ...podNetworkMetrics].map(
  ({ name, help, labels = [] }) =>
    deepFreeze(create(MetricDescriptorSchema, { name, help, labelKeys: [...baseLabels, ...labels] })),
);
