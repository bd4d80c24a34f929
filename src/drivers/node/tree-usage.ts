import { lstat, opendir, type BigIntStats } from "node:fs";
import { promisify } from "node:util";
import { codeOf, sleep } from "../../base/index.js";
import type { MeasureOptions, TreeUsage } from "../../host/index.js";

const openFolder = promisify(opendir);
const stat = promisify(lstat as (path: string, options: { bigint: true }, done: Done) => void);
type Done = (error: NodeJS.ErrnoException | null, stats: BigIntStats) => void;

/** How many entries are measured before a pause. */
const entriesAtOnce = 64;
const blockBytes = 512n;

/** Measures a folder with its content. @see HostTrees.usage */
export async function treeUsage(
  directory: string,
  { share, unlessIn, signal }: MeasureOptions,
): Promise<TreeUsage> {
  let usedBytes = 0n;
  let inodes = 0n;
  const seenLinks = new Set<string>();
  const folders = [""];
  const look = async (path: string) => {
    const stats = await statOf(`${directory}${path}`);
    if (stats) await count(path, stats);
  };
  const count = async (path: string, stats: BigIntStats) => {
    if (stats.isDirectory() && path !== "") folders.push(path);
    if (unlessIn !== undefined && isSame(stats, await statOf(`${unlessIn}${path}`))) return;
    if (stats.nlink > 1n && !stats.isDirectory()) {
      const link = `${stats.dev}:${stats.ino}`;
      if (seenLinks.has(link)) return;
      seenLinks.add(link);
    }
    usedBytes += stats.blocks * blockBytes;
    inodes++;
  };
  // A missing root folder is an error; a folder that is removed during the walk is not.
  const root = await statOf(directory);
  if (!root) throw Object.assign(new Error(`ENOENT: ${directory}`), { code: "ENOENT" });
  await count("", root);
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for await (const names of namesIn(`${directory}${folder}`)) {
      const startedAtMs = performance.now();
      await Promise.all(names.map((name) => look(`${folder}/${name}`)));
      const tookMs = performance.now() - startedAtMs;
      await sleep(Math.ceil(tookMs * (1 / share - 1)), signal);
    }
  }
  return { usedBytes, inodes };
}

/** The names in a folder, in batches: there may be millions. */
async function* namesIn(folder: string): AsyncGenerator<string[]> {
  const opened = await openFolder(folder).catch(unlessGone);
  if (!opened) return;
  let names: string[] = [];
  for await (const { name } of opened) {
    names.push(name);
    if (names.length < entriesAtOnce) continue;
    yield names;
    names = [];
  }
  if (names.length > 0) yield names;
}

async function statOf(path: string): Promise<BigIntStats | undefined> {
  return await stat(path, { bigint: true }).catch(unlessGone);
}

function unlessGone(error: unknown): undefined {
  if (["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "")) return undefined;
  throw error;
}

/** Whether a file is an unchanged copy of another one. */
function isSame(stats: BigIntStats, original: BigIntStats | undefined): boolean {
  if (!original || stats.mode !== original.mode) return false;
  if (stats.uid !== original.uid || stats.gid !== original.gid) return false;
  // The content of a directory is compared separately.
  if (stats.isDirectory()) return true;
  return stats.size === original.size && stats.mtimeNs === original.mtimeNs && stats.rdev === original.rdev;
}
