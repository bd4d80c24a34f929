import { inject, injectable } from "../../base/injection.js";
import { Containers } from "../../containers/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type CheckpointPodRequest } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Refuses to checkpoint a pod, because Docker could not restore it.
 * @throws ShimError "failed-precondition" with the reason, for every valid request.
 * @see CRI v1 RuntimeService.CheckpointPod
 */
@injectable()
export class CheckpointPodHandler implements UnaryHandler<typeof RuntimeService.method.checkpointPod> {
  constructor(@inject(Containers) private readonly containers: Containers) {}

  handle(request: CheckpointPodRequest): Promise<never> {
    this.containers.checkpointPod(request);
  }
}
