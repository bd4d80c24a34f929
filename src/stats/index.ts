export { Stats } from "./stats.js";
export { usageReader } from "./usage-reader.js";
export type * from "./usage.js";
