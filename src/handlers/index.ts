export type { CallContext, StreamHandler, UnaryHandler } from "./handler.js";
export * from "./image-service/index.js";
export * from "./runtime-service/index.js";
