import type { HostKernel } from "../../host/index.js";
import type { ContainerRecord } from "../../inventory/index.js";
import type { CgroupPlaces } from "../cgroup/index.js";
import type { OpenFiles } from "./source.js";

/** Reading the target of one takes some microseconds, during which no call is answered. */
const mostFiles = 10_000;

/**
 * Counts the open files of the processes of a cgroup; undefined when the cgroup no longer exists, and when it has more
 * than 10,000 processes or open files.
 */
export function openFilesOf(kernel: HostKernel, { processes }: CgroupPlaces): OpenFiles | undefined {
  const pids = processes && kernel.readNow(`${processes.folder}/cgroup.procs`);
  if (pids === undefined) return undefined;
  const processIds = pids.split("\n").filter((pid) => pid !== "");
  if (processIds.length > mostFiles) return undefined;
  let files = 0;
  let sockets = 0;
  for (const pid of processIds) {
    const targets = kernel.openFilesNow(Number(pid), mostFiles - files);
    if (!targets) return undefined;
    files += targets.length;
    sockets += targets.filter((target) => target.startsWith("socket:")).length;
  }
  return { files, sockets };
}

/** The soft limit of open files of a container's first process; undefined without one. @see proc_pid_limits(5) */
export function mostOpenFilesOf(kernel: HostKernel, { docker }: ContainerRecord): bigint | undefined {
  const { pid } = docker.state;
  const text = pid === undefined ? undefined : kernel.readNow(`/proc/${pid}/limits`);
  const soft = /^Max open files\s+(\d+)\s/m.exec(text ?? "")?.[1];
  return soft === undefined ? undefined : BigInt(soft);
}
