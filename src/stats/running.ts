import { stageOf, type ContainerRecord, type SandboxRecord } from "../inventory/index.js";

/** Whether a container has a process to measure; true for a paused one. */
export function isRunning(record: ContainerRecord): boolean {
  return stageOf(record.docker) === "running" && !record.processGone;
}

/** Cgroup parents that several pods share: their values belong to no single pod. */
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
