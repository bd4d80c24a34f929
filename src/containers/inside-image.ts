import { posix } from "node:path";
import type { HostFiles } from "../host/index.js";

const mostLinks = 40;

/**
 * Where a path inside an image lies on the node, with every link in it followed as a program would whose root
 * the image is: an absolute one starts at `root`, and no `..` climbs above it.
 * @returns The path, which holds no link; undefined when there is nothing, or links go round in circles.
 */
export async function insideImage(files: HostFiles, root: string, path: string): Promise<string | undefined> {
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
    if (++links > mostLinks) return undefined;
    const target = await files.readLink(here);
    if (target.startsWith("/")) walked.length = 0;
    ahead.unshift(...partsOf(target));
  }
  return posix.join(root, ...walked);
}

function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}
