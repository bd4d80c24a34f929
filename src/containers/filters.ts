import type { ContainerFilter, ContainerState } from "../gen/runtime/v1/api_pb.js";
import type { WorkloadRecord } from "../inventory/index.js";

/** True if all labels of the selector match. */
export function hasLabels(
  labels: Readonly<Record<string, string>>,
  selector: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value);
}

/** Matches a CRI filter: all its conditions must match. IDs match by prefix. */
export function matchesContainer(
  record: WorkloadRecord,
  state: ContainerState,
  filter: ContainerFilter | undefined,
): boolean {
  if (!filter) return true;
  return (
    record.id.startsWith(filter.id) &&
    (filter.state === undefined || filter.state.state === state) &&
    record.sandboxId.startsWith(filter.podSandboxId) &&
    hasLabels(record.labels, filter.labelSelector)
  );
}
