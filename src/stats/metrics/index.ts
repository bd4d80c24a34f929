export { PodMetrics } from "./pod-metrics.js";
export type { Disk } from "./source.js";
export { baseLabels, metricDescriptors } from "./table.js";
