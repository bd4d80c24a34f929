import { inject, injectable } from "../../base/injection.js";
import { Containers } from "../../containers/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type StopContainerRequest } from "../../gen/runtime/v1/api_pb.js";
import type { CallContext, UnaryHandler } from "../handler.js";

/**
 * Stops a container with its stop signal, and with SIGKILL after the grace period.
 * Succeeds if the container is already stopped or does not exist.
 * @throws ShimError "deadline-exceeded" when the process outlives SIGKILL.
 * @see CRI v1 RuntimeService.StopContainer; Docker API POST /containers/{id}/stop
 */
@injectable()
export class StopContainerHandler implements UnaryHandler<typeof RuntimeService.method.stopContainer> {
  constructor(@inject(Containers) private readonly containers: Containers) {}

  async handle(request: StopContainerRequest, { signal }: CallContext) {
    await this.containers.stop(request.containerId, { graceSeconds: Number(request.timeout), signal });
    return {};
  }
}
