export {
  formatBindAddress,
  isSubnet,
  isWildcard,
  parseBindAddress,
  type BindAddress,
} from "./bind-address.js";
export { parseGoDuration } from "./duration.js";
export {
  dockerClientSettings,
  processEnvironment,
  type DockerClientSettings,
  type Environment,
} from "./environment.js";
export type { ServeFlag } from "./flag.js";
export { loadConfigFile } from "./load-file.js";
export { parseConfig } from "./parse.js";
export { parseServeConfig, type ServeConfig, type ServeConfigInput } from "./serve-config.js";
export { loadServeConfig, serveFlags, type GivenFlags } from "./serve-flags.js";
export { isEngineLocal, ShimConfig, ShimConfigSchema, type ShimConfigInput } from "./shim-config.js";
