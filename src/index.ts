export { ShimError, type ErrorKind } from "./base/index.js";
export { createShim } from "./composition/index.js";
export type * from "./composition/index.js";
export { parseConfig, ShimConfig, ShimConfigSchema, type ShimConfigInput } from "./config/index.js";
export { Containers } from "./containers/index.js";
export { DockerService } from "./docker/index.js";
export type * from "./docker/index.js";
export { ContainerEvents } from "./events/index.js";
export * from "./handlers/index.js";
export { Host } from "./host/index.js";
export type * from "./host/index.js";
export { Images } from "./images/index.js";
export { Inventory } from "./inventory/index.js";
export type * from "./inventory/index.js";
export { readContainerLog, type ContainerLogLine, type ReadContainerLogOptions } from "./logs/index.js";
export * from "./network/network.js";
export { Runtime } from "./runtime/index.js";
export { Sandboxes } from "./sandbox/index.js";
export { Stats } from "./stats/index.js";
export type * from "./stats/index.js";
export {
  Streaming,
  type ProcessOptions,
  type RemoteProcess,
  type StreamingHandler,
  type StreamingHandlerOptions,
} from "./streaming/index.js";
