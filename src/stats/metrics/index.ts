export { PodMetrics } from "./pod-metrics.js";
export { baseLabels, metricDescriptors } from "./table.js";
