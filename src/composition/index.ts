export { createShim } from "./create-shim.js";
export type { Shim, ShimMetricsReader, ShimOptions, ShimStreaming } from "./shim.js";
export type { ShimPart, ShimParts, ShimResolver } from "./parts.js";
