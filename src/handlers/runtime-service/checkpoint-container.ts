import { inject, injectable } from "../../base/injection.js";
import { Containers } from "../../containers/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type CheckpointContainerRequest } from "../../gen/runtime/v1/api_pb.js";
import type { CallContext, UnaryHandler } from "../handler.js";

/**
 * Writes a CRIU checkpoint of a running container.
 * @throws ShimError "failed-precondition" when the engine is not experimental or has no CRIU.
 * @see CRI v1 RuntimeService.CheckpointContainer
 */
@injectable()
export class CheckpointContainerHandler implements UnaryHandler<
  typeof RuntimeService.method.checkpointContainer
> {
  constructor(@inject(Containers) private readonly containers: Containers) {}

  async handle(request: CheckpointContainerRequest, { signal }: CallContext) {
    await this.containers.checkpoint(request.containerId, request.location, Number(request.timeout), signal);
    return {};
  }
}
