import { stageOf, type ContainerRecord, type SandboxRecord } from "../inventory/index.js";

/** Whether a container has a process to be measured; a paused one has. */
export function isRunning(record: ContainerRecord): boolean {
  return stageOf(record.docker) === "running" && !record.processGone;
}

/** The parents of cgroups below which more than one pod lives: their figures are no pod's own. */
export function sharedCgroupParents(records: readonly SandboxRecord[]): ReadonlySet<string> {
  const pods = new Map<string, string>();
  const shared = new Set<string>();
  for (const { docker, pod } of records) {
    const parent = docker.host.cgroupParent ?? "";
    const other = pods.get(parent);
    if (other !== undefined && other !== pod.uid) shared.add(parent);
    pods.set(parent, pod.uid);
  }
  return shared;
}
