import assert from "node:assert/strict";
import type { KubeletApi } from "./api.js";

/** What the suite reads of /stats/summary. */
interface Summary {
  readonly pods: readonly PodStats[];
}

interface PodStats {
  readonly podRef: { readonly name: string };
  readonly cpu?: CpuStats;
  readonly memory?: MemoryStats;
  readonly network?: { readonly name: string; readonly rxBytes: number; readonly txBytes: number };
  readonly process_stats?: { readonly process_count: number };
  readonly containers: readonly ContainerStats[];
}

interface CpuStats {
  readonly usageNanoCores?: number;
  readonly usageCoreNanoSeconds: number;
}

interface MemoryStats {
  readonly workingSetBytes: number;
  readonly usageBytes?: number;
  readonly rssBytes?: number;
}

interface ContainerStats {
  readonly name: string;
  readonly cpu?: CpuStats;
  readonly memory?: MemoryStats;
  readonly rootfs?: { readonly usedBytes?: number };
  readonly logs?: { readonly usedBytes?: number };
}

/** The stats of the static pods by their names in the manifests. */
export async function summary(api: KubeletApi): Promise<Map<string, PodStats>> {
  const { pods } = await api.json<Summary>("/stats/summary");
  return new Map(pods.map((pod) => [pod.podRef.name.replace(/-node$/, ""), pod]));
}

/** The metrics of /metrics/cadvisor that belong to a container, the largest value of each name. */
export async function cadvisorMetrics(api: KubeletApi, containerId: string): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const line of (await api.get("/metrics/cadvisor")).split("\n")) {
    const [, name = "", labels = "", value = ""] = /^(\w+)\{(.*)\} (\S+)/.exec(line) ?? [];
    if (!new RegExp(`(?:id|name)="[^"]*${containerId}"`).test(labels)) continue;
    found.set(name, Math.max(found.get(name) ?? 0, Number(value)));
  }
  return found;
}

/** Both figures are there, and the second one is the first within some part of it. */
function near(
  what: string,
  one: number | undefined,
  other: number | undefined,
  part: number,
  slack: number,
): void {
  assert.ok(one !== undefined && other !== undefined, `${what}: ${String(one)} and ${String(other)}`);
  assert.ok(Math.abs(one - other) <= one * part + slack, `${what}: ${one} and ${other}`);
}

/** The usage of a pod, as the kubelet has read it itself and as the runtime reports it. */
export function agree(name: string, own: PodStats | undefined, cri: PodStats | undefined): void {
  assert.ok(own && cri, `${name}: no stats`);
  near(`${name}: memory`, own.memory?.workingSetBytes, cri.memory?.workingSetBytes, 0.3, 2 << 20);
  near(`${name}: cpu`, own.cpu?.usageCoreNanoSeconds, cri.cpu?.usageCoreNanoSeconds, 0.5, 2e9);
  assert.deepEqual(
    cri.containers.map((each) => each.name).sort(),
    own.containers.map((each) => each.name).sort(),
  );
  for (const container of cri.containers) {
    const other = own.containers.find((each) => each.name === container.name);
    const what = `${name}/${container.name}`;
    near(`${what}: memory`, other?.memory?.workingSetBytes, container.memory?.workingSetBytes, 0.3, 2 << 20);
    near(`${what}: cpu`, other?.cpu?.usageCoreNanoSeconds, container.cpu?.usageCoreNanoSeconds, 0.5, 2e9);
    near(`${what}: layer`, other?.rootfs?.usedBytes, container.rootfs?.usedBytes, 0.1, 1 << 20);
  }
  if (own.network !== undefined) near(`${name}: rx`, own.network.rxBytes, cri.network?.rxBytes, 0.5, 1 << 20);
}

/**
 * What /metrics/cadvisor says of one container: the runtime leaves out no name of the kubelet's own. It may have more: it
 * serves the names of kubelet 1.37, and an older one has fewer.
 */
export function agreeOnMetrics(own: ReadonlyMap<string, number>, cri: ReadonlyMap<string, number>): void {
  // Of these cAdvisor has figures only with a reader of its own on, which a kubelet leaves off: they are 0 or -1.
  const empty = /^container_(?:cpu_load_d?_?average_10s|tasks_state|health_state)$/;
  assert.deepEqual(
    [...own.keys()].filter((name) => !cri.has(name) && !empty.test(name)),
    [],
  );
  near(
    "working set",
    own.get("container_memory_working_set_bytes"),
    cri.get("container_memory_working_set_bytes"),
    0.3,
    2 << 20,
  );
  near("processes", own.get("container_processes"), cri.get("container_processes"), 0, 0);
}
