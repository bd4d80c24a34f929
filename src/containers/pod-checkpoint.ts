import { ShimError } from "../base/index.js";
import type { CheckpointPodRequest, RestorePodRequest } from "../gen/runtime/v1/api_pb.js";
import type { Inventory } from "../inventory/index.js";
import { requireRunning } from "./require-state.js";

/**
 * Answers a request for a checkpoint of a pod. Docker saves the memory of a container without its writable layer, and
 * starts a container from a checkpoint in its own folder only ("custom checkpointdir is not supported"), so what could
 * be written could not be restored: nothing is.
 * @throws ShimError "invalid-argument", "not-found" or "failed-precondition" for a request that no runtime could serve;
 *   else "failed-precondition" with what Docker lacks.
 * @see CRI v1 RuntimeService.CheckpointPod
 */
export function refuseCheckpointPod(request: CheckpointPodRequest, inventory: Inventory): ShimError {
  const { podSandboxId, outputPath, containerIds } = request;
  const sandbox = inventory.sandbox(podSandboxId);
  requireAbsolute("CheckpointPod: output_path", outputPath);
  if (containerIds.length === 0 || new Set(containerIds).size < containerIds.length) {
    const text = "CheckpointPod: container_ids must name at least one container, and none twice";
    throw new ShimError("invalid-argument", text);
  }
  for (const id of containerIds) {
    const record = inventory.workload(id);
    if (record.sandboxId !== sandbox.id) {
      const text = `CheckpointPod: container ${id} does not belong to pod ${sandbox.id}`;
      throw new ShimError("invalid-argument", text);
    }
    requireRunning(record);
  }
  return missing("CheckpointPod", inventory);
}

/** As {@link refuseCheckpointPod}. @see CRI v1 RuntimeService.RestorePod */
export function refuseRestorePod(request: RestorePodRequest, inventory: Inventory): ShimError {
  requireAbsolute("RestorePod: checkpoint_path", request.checkpointPath);
  if (!request.config?.metadata) {
    throw new ShimError("invalid-argument", "RestorePod: config with the new pod's metadata is missing");
  }
  return missing("RestorePod", inventory);
}

function requireAbsolute(what: string, path: string): void {
  if (path.startsWith("/")) return;
  throw new ShimError("invalid-argument", `${what} must be an absolute path, not "${path}"`);
}

function missing(operation: string, inventory: Inventory): ShimError {
  const { experimental } = inventory.engine().info;
  const off = experimental === true ? "" : ", and this dockerd has experimental features off";
  return new ShimError(
    "failed-precondition",
    `${operation}: Docker does not support pod checkpoints: it saves a container's memory without its file system, and ` +
      `restores only from its own checkpoint directory${off}; use CheckpointContainer to save one container's memory`,
    { operation },
  );
}
