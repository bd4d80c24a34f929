/** The error of a call, `ConnectError.from(error).code`, and its codes. */
export { Code, ConnectError } from "@connectrpc/connect";
export { createClients, type ClientOptions, type ClientTls, type Clients } from "./clients.js";
/** Every message, enum and service of CRI v1. */
export * from "../gen/runtime/v1/api_pb.js";
export type { RemoteProcess } from "../carriers/index.js";
export { type StreamingClientOptions } from "./streaming/dial.js";
export { connectPortForward, type PortForward } from "./streaming/ports.js";
export { connectProcess, type ProcessClientOptions } from "./streaming/process.js";
