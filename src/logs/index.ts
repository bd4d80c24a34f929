export { ContainerLogs, type LogCounts, type LogTarget } from "./container-logs.js";
export {
  readContainerLog,
  type ContainerLogLine,
  type ReadContainerLogOptions,
} from "./read/read-container-log.js";
