import { posix } from "node:path";
import { boundedPath, invalid, quote } from "./validation.js";

/** PATH_MAX without the NUL, and NAME_MAX. */
const longestPathBytes = 4095;
const longestNameBytes = 255;
/** Kubelet rotates a log to `NAME.20060102-150405` and compresses it to that name with `.tmp` appended. */
const suffixBytes = 20;

/** The path of a container's log. */
export interface LogPath {
  /** Absolute. */
  readonly path: string;
  /** The pod's log directory. Neither it nor anything below it may be a symlink. */
  readonly root: string;
}

/**
 * Resolves the container's `log_path` in the pod's `log_directory`. Undefined if one of them is empty: no log.
 * @throws ShimError "invalid-argument" when the path is not inside the log directory, or is too long.
 * @see CRI v1 PodSandboxConfig.log_directory, ContainerConfig.log_path
 */
export function resolveLogPath(logDirectory: string, logPath: string): LogPath | undefined {
  if (logDirectory === "" || logPath === "") return undefined;
  const refuse = (why: string) =>
    invalid(`log_path ${quote(logPath)} in log_directory ${quote(logDirectory)}`, why);
  boundedPath(logDirectory, "log_directory");
  boundedPath(logPath, "log_path");
  if (logDirectory.includes("\0") || logPath.includes("\0")) throw refuse("contains a NUL byte");
  if (!logDirectory.startsWith("/")) throw refuse("is refused: log_directory must be an absolute path");
  const root = withoutSlash(posix.normalize(logDirectory));
  const path = withoutSlash(posix.join(root, logPath));
  const inside = root === "/" ? "/" : `${root}/`;
  if (!path.startsWith(inside) || path === root)
    throw refuse("is refused: the file must be inside the directory");
  const names = path.split("/");
  const tooLong = names.find((name) => Buffer.byteLength(name) > longestNameBytes);
  if (tooLong !== undefined)
    throw refuse(`is refused: a name of ${Buffer.byteLength(tooLong)} bytes is too long`);
  if (
    Buffer.byteLength(names.at(-1) ?? "") > longestNameBytes - suffixBytes ||
    Buffer.byteLength(path) > longestPathBytes - suffixBytes
  )
    throw refuse(
      `is too long: rotation adds ${suffixBytes} bytes, and the limit of Linux is ${longestNameBytes} bytes for a ` +
        `name and ${longestPathBytes} for a path`,
    );
  return { path, root };
}

function withoutSlash(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}
