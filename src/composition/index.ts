export { createShim } from "./create-shim.js";
export type { Shim, ShimOptions } from "./shim.js";
