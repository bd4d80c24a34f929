import { inject, injectable } from "../../base/injection.js";
import { Containers } from "../../containers/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type StartContainerRequest } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Starts a created container; its log is complete from the first line.
 * @throws ShimError "not-found"; "failed-precondition" when it runs or has run; "invalid-argument" when its
 *   command cannot be run.
 * @see CRI v1 RuntimeService.StartContainer
 */
@injectable()
export class StartContainerHandler implements UnaryHandler<typeof RuntimeService.method.startContainer> {
  constructor(@inject(Containers) private readonly containers: Containers) {}

  async handle(request: StartContainerRequest) {
    await this.containers.start(request.containerId);
    return {};
  }
}
