export { ContainerLogs, type LogCounts, type LogTarget } from "./container-logs.js";
export { dockerLogConfig } from "./docker-log-config.js";
export { resolveLogPath, type LogPath } from "./log-path.js";
export {
  readContainerLog,
  type ContainerLogLine,
  type ReadContainerLogOptions,
} from "./read/read-container-log.js";
