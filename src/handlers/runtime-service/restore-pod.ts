import { inject, injectable } from "../../base/injection.js";
import { Containers } from "../../containers/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type RestorePodRequest } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Refuses to make a pod out of a checkpoint, which Docker does not have.
 * @throws ShimError "failed-precondition" that says what is missing, for every request that is right.
 * @see CRI v1 RuntimeService.RestorePod
 */
@injectable()
export class RestorePodHandler implements UnaryHandler<typeof RuntimeService.method.restorePod> {
  constructor(@inject(Containers) private readonly containers: Containers) {}

  handle(request: RestorePodRequest): Promise<never> {
    this.containers.restorePod(request);
  }
}
