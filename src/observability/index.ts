export { ShimMetrics } from "./metrics.js";
export { Tracing } from "./tracing.js";
