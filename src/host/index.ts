export * from "./host.js";
export * from "./log-files.js";
export { removeTemporaries } from "./temporaries.js";
