import { inject, injectable } from "../../base/injection.js";
import { ContainerEvents } from "../../events/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type GetEventsRequest } from "../../gen/runtime/v1/api_pb.js";
import type { CallContext, StreamHandler } from "../handler.js";

/**
 * Streams the events of containers from now on, each event once and in order for each container.
 * @throws ShimError "resource-exhausted" for a subscriber that does not keep up.
 * @see CRI v1 RuntimeService.GetContainerEvents
 */
@injectable()
export class GetContainerEventsHandler implements StreamHandler<
  typeof RuntimeService.method.getContainerEvents
> {
  constructor(@inject(ContainerEvents) private readonly events: ContainerEvents) {}

  handle(_request: GetEventsRequest, { signal }: CallContext) {
    return this.events.subscribe(signal);
  }
}
