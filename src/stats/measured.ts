import type { SandboxRecord, WorkloadRecord } from "../inventory/index.js";
import type { CgroupPlaces } from "./cgroup/index.js";
import type { CgroupUsage, LayerUsage, NetworkUsage } from "./usage.js";

/** A container and its resource use; the values are absent when it does not run. */
export interface MeasuredContainer {
  readonly record: WorkloadRecord;
  readonly places?: CgroupPlaces;
  readonly usage: CgroupUsage;
  /** The content of `memory.stat`, for metrics. */
  readonly memoryStat: string;
  readonly layer?: LayerUsage;
}

/** A pod and its resource use. */
export interface MeasuredPod {
  readonly record: SandboxRecord;
  /** The pod's own cgroup; absent for a pod that has none. */
  readonly places?: CgroupPlaces;
  /** The path of the sandbox's own cgroup. */
  readonly ownPath: string;
  readonly usage: CgroupUsage;
  readonly memoryStat: string;
  readonly network?: NetworkUsage;
  readonly containers: readonly MeasuredContainer[];
}
