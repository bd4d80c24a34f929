import { inject, injectable } from "../../base/injection.js";
import { Containers } from "../../containers/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type RestorePodRequest } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Refuses to restore a pod from a checkpoint, which Docker cannot do.
 * @throws ShimError "failed-precondition" with the reason, for every valid request.
 * @see CRI v1 RuntimeService.RestorePod
 */
@injectable()
export class RestorePodHandler implements UnaryHandler<typeof RuntimeService.method.restorePod> {
  constructor(@inject(Containers) private readonly containers: Containers) {}

  handle(request: RestorePodRequest): Promise<never> {
    this.containers.restorePod(request);
  }
}
