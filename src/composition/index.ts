export { createShim } from "./create-shim.js";
export type { Shim, ShimOptions, ShimStreaming } from "./shim.js";
