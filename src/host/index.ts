export * from "./host.js";
export * from "./log-files.js";
export * from "./network.js";
export { removeTemporaries } from "./temporaries.js";
