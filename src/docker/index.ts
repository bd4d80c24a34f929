export * from "./containers.js";
export * from "./docker-service.js";
export * from "./events.js";
export * from "./exec.js";
export * from "./images.js";
export * from "./resources.js";
export * from "./streams.js";
export * from "./system.js";
