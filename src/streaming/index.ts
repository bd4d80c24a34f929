export type { RemoteProcess } from "../carriers/index.js";
export type { StreamingHandler, StreamingHandlerOptions } from "./http/handler.js";
export { Streaming, type ProcessOptions } from "./streaming.js";
