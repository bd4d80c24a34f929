import type { HostKernel } from "../../host/index.js";
import type { ContainerRecord } from "../../inventory/index.js";
import type { CgroupPlaces } from "../cgroup/index.js";
import type { OpenFiles } from "./source.js";

/** Counts the open files of the processes of a cgroup; undefined when the cgroup no longer exists. */
export function openFilesOf(kernel: HostKernel, { processes }: CgroupPlaces): OpenFiles | undefined {
  const pids = processes && kernel.readNow(`${processes.folder}/cgroup.procs`);
  if (pids === undefined) return undefined;
  const files = pids
    .split("\n")
    .filter((pid) => pid !== "")
    .flatMap((pid) => kernel.openFilesNow(Number(pid)));
  return { files: files.length, sockets: files.filter((target) => target.startsWith("socket:")).length };
}

/** The soft limit of open files of a container's first process; undefined without one. @see proc_pid_limits(5) */
export function mostOpenFilesOf(kernel: HostKernel, { docker }: ContainerRecord): bigint | undefined {
  const { pid } = docker.state;
  const text = pid === undefined ? undefined : kernel.readNow(`/proc/${pid}/limits`);
  const soft = /^Max open files\s+(\d+)\s/m.exec(text ?? "")?.[1];
  return soft === undefined ? undefined : BigInt(soft);
}
