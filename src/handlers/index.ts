export type { CallContext, StreamHandler, UnaryHandler } from "./handler.js";
export * from "./image-service/index.js";
export { notBuiltRpcs } from "./not-built.js";
export * from "./runtime-service/index.js";
