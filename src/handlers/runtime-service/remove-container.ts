import { inject, injectable } from "../../base/injection.js";
import { Containers } from "../../containers/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type RemoveContainerRequest } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Removes a container, running or not, with its log. Succeeds if it does not exist.
 * @see CRI v1 RuntimeService.RemoveContainer
 */
@injectable()
export class RemoveContainerHandler implements UnaryHandler<typeof RuntimeService.method.removeContainer> {
  constructor(@inject(Containers) private readonly containers: Containers) {}

  async handle(request: RemoveContainerRequest) {
    await this.containers.remove(request.containerId);
    return {};
  }
}
