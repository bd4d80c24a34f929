export * from "./host.js";
export * from "./log-files.js";
