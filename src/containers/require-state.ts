import { ShimError } from "../base/index.js";
import { ContainerState } from "../gen/runtime/v1/api_pb.js";
import { stageOf, type WorkloadRecord } from "../inventory/index.js";
import { containerState } from "../translate/index.js";

/** @throws ShimError "failed-precondition" unless the container waits for its start. */
export function requireCreated({ id, docker }: WorkloadRecord): void {
  const state = containerState(docker);
  if (state === ContainerState.CONTAINER_CREATED) return;
  const { error, startedAtNanos } = docker.state;
  const why =
    state === ContainerState.CONTAINER_RUNNING
      ? "is running"
      : startedAtNanos === undefined
        ? `failed to start before (${error || "its start was interrupted"})`
        : "is exited";
  throw new ShimError(
    "failed-precondition",
    `container ${id} ${why}: only a created one can be started; create another attempt`,
  );
}

/** @throws ShimError "failed-precondition" unless the container runs. */
export function requireRunning(record: WorkloadRecord): void {
  if (stageOf(record.docker) === "running") return;
  throw new ShimError("failed-precondition", `container ${record.id} is not running`);
}
