export type { LogTarget } from "./container-log.js";
export { ContainerLogs, type LogCounts } from "./container-logs.js";
export {
  readContainerLog,
  type ContainerLogLine,
  type ReadContainerLogOptions,
} from "./read/read-container-log.js";
