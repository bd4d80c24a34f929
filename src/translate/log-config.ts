import type { ShimConfig } from "../config/index.js";
import type { DockerHostConfig } from "../docker/index.js";

/** The API of Docker 23. */
const firstApiWithWholeLocalLogs = 42;

/**
 * The log driver of the containers that the shim makes: one that can be read, whatever the engine's default is.
 *
 * json-file stores text: a byte that is not UTF-8 comes back as U+FFFD, and so does each half of a character that
 * Docker's cut at 16 KiB divides. `local` stores bytes, but before Docker 23 (API 1.42) it loses the newline of a line
 * over 16 KiB, and the next line would follow on it. In the mode `docker-json` kubelet reads json-file's own file.
 */
export function logDriver(
  logs: ShimConfig["logs"],
  [major, minor]: readonly [major: number, minor: number],
): "json-file" | "local" {
  if (logs.mode === "docker-json") return "json-file";
  if (logs.dockerDriver !== undefined) return logs.dockerDriver;
  return major > 1 || minor >= firstApiWithWholeLocalLogs ? "local" : "json-file";
}

/**
 * The driver with its options. Docker's copy is bounded: the whole log is in the file that kubelet reads.
 * @see Docker's logging drivers json-file and local: max-size, max-file
 */
export function dockerLogConfig(
  logs: ShimConfig["logs"],
  apiVersion: readonly [major: number, minor: number],
): NonNullable<DockerHostConfig["logConfig"]> {
  const driver = logDriver(logs, apiVersion);
  const options = {
    "max-size": String(logs.dockerMaxSizeBytes),
    "max-file": String(logs.dockerMaxFiles),
    // The driver local compresses by default, and refuses to when there is only one file.
    ...(driver === "local" ? { compress: "false" } : {}),
  };
  return { driver, options };
}
