import type { ShimConfig } from "../config/index.js";
import type { DockerHostConfig } from "../docker/index.js";

/** API 1.42, Docker 23. */
const firstApiWithWholeLocalLogs = 42;

/**
 * The log driver for containers of the shim, independent of the engine's default, which may be unreadable.
 *
 * `local` stores bytes. `json-file` stores text: bytes that are not UTF-8 become U+FFFD, as do the halves of a character
 * that Docker splits at 16 KiB. But before Docker 23 (API 1.42) `local` loses the newline of lines over 16 KiB, so the
 * next line is appended to it. In the mode `docker-json` kubelet reads the file of `json-file`.
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
 * The log driver and its options. Docker's copy is bounded, because the complete log is in the CRI log file.
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
    // The local driver compresses by default, which is an error with max-file=1.
    ...(driver === "local" ? { compress: "false" } : {}),
  };
  return { driver, options };
}
