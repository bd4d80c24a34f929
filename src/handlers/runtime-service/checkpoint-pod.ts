import { inject, injectable } from "../../base/injection.js";
import { Containers } from "../../containers/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type CheckpointPodRequest } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Refuses to write a checkpoint of a pod, which Docker could not restore.
 * @throws ShimError "failed-precondition" that says what is missing, for every request that is right.
 * @see CRI v1 RuntimeService.CheckpointPod
 */
@injectable()
export class CheckpointPodHandler implements UnaryHandler<typeof RuntimeService.method.checkpointPod> {
  constructor(@inject(Containers) private readonly containers: Containers) {}

  handle(request: CheckpointPodRequest): Promise<never> {
    this.containers.checkpointPod(request);
  }
}
