import { inject, injectable } from "../../base/injection.js";
import { Containers } from "../../containers/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type ListContainersRequest } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Lists the containers that match the filter, from the inventory.
 * @throws ShimError "unavailable" before the first sync, never an empty list.
 * @see CRI v1 RuntimeService.ListContainers
 */
@injectable()
export class ListContainersHandler implements UnaryHandler<typeof RuntimeService.method.listContainers> {
  constructor(@inject(Containers) private readonly containers: Containers) {}

  handle(request: ListContainersRequest) {
    return { containers: this.containers.list(request.filter) };
  }
}
