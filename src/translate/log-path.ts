import { posix } from "node:path";
import { boundedPath, invalid, quote } from "./checks.js";

/** What Linux takes for a path, and for each name in it. */
const longestPathBytes = 4095;
const longestNameBytes = 255;
/** Kubelet renames a log to `NAME.20060102-150405`, and packs it as that with `.tmp` behind. */
const suffixBytes = 20;

/** Where the log of a container goes. */
export interface LogPath {
  /** Absolute. */
  readonly path: string;
  /** The pod's log directory: neither it nor anything below it may be a link. */
  readonly root: string;
}

/**
 * The place of a container's log, out of the pod's `log_directory` and the container's `log_path`; undefined
 * when one of them is empty, which asks for no log.
 * @throws ShimError "invalid-argument" when it would not lie in the log directory, or is too long for the kernel.
 * @see CRI v1 PodSandboxConfig.log_directory, ContainerConfig.log_path
 */
export function resolveLogPath(logDirectory: string, logPath: string): LogPath | undefined {
  if (logDirectory === "" || logPath === "") return undefined;
  const refuse = (why: string) =>
    invalid(`log_path ${quote(logPath)} in log_directory ${quote(logDirectory)}`, why);
  boundedPath(logDirectory, "log_directory");
  boundedPath(logPath, "log_path");
  if (logDirectory.includes("\0") || logPath.includes("\0")) throw refuse("holds a NUL byte");
  if (!logDirectory.startsWith("/")) throw refuse("is refused: log_directory must be an absolute path");
  const root = withoutSlash(posix.normalize(logDirectory));
  const path = withoutSlash(posix.join(root, logPath));
  const inside = root === "/" ? "/" : `${root}/`;
  if (!path.startsWith(inside) || path === root)
    throw refuse("is refused: the file must lie in the directory");
  const names = path.split("/");
  const tooLong = names.find((name) => Buffer.byteLength(name) > longestNameBytes);
  if (tooLong !== undefined)
    throw refuse(`is refused: a name of ${Buffer.byteLength(tooLong)} bytes is too long`);
  if (
    Buffer.byteLength(names.at(-1) ?? "") > longestNameBytes - suffixBytes ||
    Buffer.byteLength(path) > longestPathBytes - suffixBytes
  )
    throw refuse(
      `is too long: rotation adds ${suffixBytes} bytes, and Linux takes ${longestNameBytes} for a name and ` +
        `${longestPathBytes} for a path`,
    );
  return { path, root };
}

function withoutSlash(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}
