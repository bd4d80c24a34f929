import type { ShimConfig } from "../config/index.js";
import type { DockerHostConfig } from "../docker/index.js";

/**
 * The log driver of the containers that the shim makes: one that can be read, whatever is the engine's default,
 * and bounded, because the whole of the log is in the file that kubelet reads. In mode `docker-json` it is that file, so it is always json-file.
 *
 * With the driver `local` an engine before 23 does not say where a line over 16 KiB ends: the next line then
 * follows on it without a newline. json-file, the default, has no such fault.
 * @see Docker's logging drivers json-file and local: max-size, max-file
 */
export function dockerLogConfig(logs: ShimConfig["logs"]): NonNullable<DockerHostConfig["logConfig"]> {
  const driver = logs.mode === "docker-json" ? "json-file" : logs.dockerDriver;
  const options = {
    "max-size": String(logs.dockerMaxSizeBytes),
    "max-file": String(logs.dockerMaxFiles),
    // The driver local packs by itself, and refuses to when there is only one file.
    ...(driver === "local" ? { compress: "false" } : {}),
  };
  return { driver, options };
}
