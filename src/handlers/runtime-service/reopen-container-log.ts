import { inject, injectable } from "../../base/injection.js";
import { Containers } from "../../containers/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type ReopenContainerLogRequest } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Continues in a new log file after the old one was renamed.
 * @throws ShimError "not-found"; "failed-precondition" when the shim does not write the container's log.
 * @see CRI v1 RuntimeService.ReopenContainerLog
 */
@injectable()
export class ReopenContainerLogHandler implements UnaryHandler<
  typeof RuntimeService.method.reopenContainerLog
> {
  constructor(@inject(Containers) private readonly containers: Containers) {}

  async handle(request: ReopenContainerLogRequest) {
    await this.containers.reopenLog(request.containerId);
    return {};
  }
}
