import type { ProcessUsage } from "../usage.js";
import type { ReadFile } from "./cpu.js";
import type { CgroupPlaces } from "./places.js";
import { limitOf, numberOf } from "./text.js";

/** The files that are read. */
export interface CgroupTree {
  readonly read: ReadFile;
  readonly folders: (path: string) => string[];
}

/** The depth to which child cgroups, which a container can create, are searched. */
const deepest = 16;

/**
 * Counts the processes of a cgroup with its descendants; undefined when the cgroup no longer exists.
 * @see cgroups(7), `cgroup.procs`; kernel, `pids.current`, which counts threads
 */
export function readProcesses(
  { read, folders }: CgroupTree,
  { processes, pids }: CgroupPlaces,
): Omit<ProcessUsage, "readAtNanos"> | undefined {
  if (!processes) return undefined;
  const inFolder = (folder: string, depth: number): number | undefined => {
    const text = read(`${folder}/cgroup.procs`);
    if (text === undefined) return undefined;
    const own = text.split("\n").length - 1;
    const below = depth < deepest ? folders(folder) : [];
    return below.reduce((sum, name) => sum + (inFolder(`${folder}/${name}`, depth + 1) ?? 0), own);
  };
  const count = inFolder(processes.folder, 0);
  if (count === undefined) return undefined;
  const threads = pids && numberOf(read(`${pids.folder}/pids.current`));
  const threadLimit = pids && limitOf(read(`${pids.folder}/pids.max`));
  return {
    processes: BigInt(count),
    ...(threads === undefined ? {} : { threads }),
    ...(threadLimit === undefined ? {} : { threadLimit }),
  };
}
