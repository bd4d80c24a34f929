import { posix } from "node:path";
import type { HostFiles } from "../host/index.js";

const maxSymlinks = 40;

/**
 * Resolves a path inside an unpacked image, as after chroot: absolute symlinks start at `root`, and `..` stays below it.
 * @returns The path on the node without symlinks; undefined if it does not exist or has a symlink loop.
 */
export async function resolveInImage(
  files: HostFiles,
  root: string,
  path: string,
): Promise<string | undefined> {
  const ahead = partsOf(path);
  const walked: string[] = [];
  let links = 0;
  for (let part = ahead.shift(); part !== undefined; part = ahead.shift()) {
    if (part === "..") {
      walked.pop();
      continue;
    }
    const here = posix.join(root, ...walked, part);
    const kind = await files.kindOf(here);
    if (kind === undefined || (kind !== "directory" && kind !== "link" && ahead.length > 0)) return undefined;
    if (kind !== "link") {
      walked.push(part);
      continue;
    }
    if (++links > maxSymlinks) return undefined;
    const target = await files.readLink(here);
    if (target.startsWith("/")) walked.length = 0;
    ahead.unshift(...partsOf(target));
  }
  return posix.join(root, ...walked);
}

function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}
