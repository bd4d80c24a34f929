import { inject, injectable } from "../../base/injection.js";
import { Containers } from "../../containers/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type UpdateContainerResourcesRequest } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Changes a container's limits; a zero leaves a limit unchanged.
 * @throws ShimError "unsupported" for limits that Docker cannot change, before any other is changed.
 * @see CRI v1 RuntimeService.UpdateContainerResources
 */
@injectable()
export class UpdateContainerResourcesHandler implements UnaryHandler<
  typeof RuntimeService.method.updateContainerResources
> {
  constructor(@inject(Containers) private readonly containers: Containers) {}

  async handle(request: UpdateContainerResourcesRequest) {
    await this.containers.updateResources(request);
    return {};
  }
}
