import { injectable } from "../../base/injection.js";
import { notBuilt } from "../not-built.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Writes a checkpoint of a pod.
 * @throws ShimError "unsupported": not built yet.
 * @see CRI v1 RuntimeService.CheckpointPod
 */
@injectable()
export class CheckpointPodHandler implements UnaryHandler<typeof RuntimeService.method.checkpointPod> {
  handle(): Promise<never> {
    throw notBuilt("CheckpointPod");
  }
}
