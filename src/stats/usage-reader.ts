import { longestTimerMs, ShimError, sleep } from "../base/index.js";
import type { ContainerRecord } from "../inventory/index.js";
import type { MeasuredContainer, MeasuredPod } from "./measured.js";
import type { Stats } from "./stats.js";
import type { ContainerUsage, PodName, PodUsage, UsageFilter, UsageReader } from "./usage.js";

const defaultIntervalMs = 10_000;

/** Reads the usage of containers and pods from a shim's stats. */
export function usageReader(stats: Stats): UsageReader {
  const pods = async (filter?: UsageFilter) => (await stats.pods(whole(filter))).map(podUsage);
  return {
    containers: async (filter) => {
      const measured = await stats.containers(whole(filter), { everything: true });
      return measured.map(containerUsage);
    },
    pods,
    watch: ({ intervalMs = defaultIntervalMs, signal } = {}) => {
      if (!(intervalMs > 0 && intervalMs <= longestTimerMs))
        throw new ShimError(
          "invalid-argument",
          `watch: intervalMs must be more than 0 and at most ${longestTimerMs}, but is ${intervalMs}`,
        );
      return repeated(pods, intervalMs, signal);
    },
  };
}

async function* repeated<T>(
  read: () => Promise<T>,
  intervalMs: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void, undefined> {
  for (let dueAtMs = performance.now(); !signal?.aborted; dueAtMs += intervalMs) {
    const waitMs = dueAtMs - performance.now();
    if (waitMs > 0) await sleep(waitMs, signal).catch(() => undefined);
    // Intervals that a slow reader has missed are skipped.
    else dueAtMs = performance.now();
    if (signal?.aborted) return;
    yield await read();
  }
}

function whole({ id = "", podSandboxId = "", labelSelector = {} }: UsageFilter = {}) {
  return { id, podSandboxId, labelSelector: { ...labelSelector } };
}

function containerUsage({ record, usage, layer }: MeasuredContainer): ContainerUsage {
  const { id, sandboxId, container, labels } = record;
  const named = { id, sandboxId, name: container.name, pod: podName(record), labels };
  return { ...named, ...usage, ...(layer && { writableLayer: layer }) };
}

function podUsage({ record, usage, network, containers }: MeasuredPod): PodUsage {
  const { id, labels } = record;
  const named = { id, pod: podName(record), labels };
  return { ...named, ...usage, ...(network && { network }), containers: containers.map(containerUsage) };
}

function podName({ pod: { name, namespace, uid } }: ContainerRecord): PodName {
  return { name, namespace, uid };
}
