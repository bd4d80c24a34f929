import { inject, injectable } from "../../base/injection.js";
import { Sandboxes } from "../../sandbox/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type UpdatePodSandboxResourcesRequest } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Accepts the new resources of a pod.
 * @throws ShimError "not-found".
 * @see CRI v1 RuntimeService.UpdatePodSandboxResources
 */
@injectable()
export class UpdatePodSandboxResourcesHandler implements UnaryHandler<
  typeof RuntimeService.method.updatePodSandboxResources
> {
  constructor(@inject(Sandboxes) private readonly sandboxes: Sandboxes) {}

  handle(request: UpdatePodSandboxResourcesRequest) {
    this.sandboxes.updateResources(request.podSandboxId);
    return {};
  }
}
