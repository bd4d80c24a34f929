import { inject, injectable } from "../../base/injection.js";
import { Containers } from "../../containers/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type ContainerStatusRequest } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Describes one container, from the inventory.
 * @throws ShimError "not-found".
 * @see CRI v1 RuntimeService.ContainerStatus
 */
@injectable()
export class ContainerStatusHandler implements UnaryHandler<typeof RuntimeService.method.containerStatus> {
  constructor(@inject(Containers) private readonly containers: Containers) {}

  handle(request: ContainerStatusRequest) {
    return this.containers.status(request.containerId, { verbose: request.verbose });
  }
}
