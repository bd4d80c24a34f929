import { inject, injectable } from "../../base/injection.js";
import { Sandboxes } from "../../sandbox/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type PodSandboxStatusRequest } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Describes one pod, from the inventory.
 * @throws ShimError "not-found".
 * @see CRI v1 RuntimeService.PodSandboxStatus
 */
@injectable()
export class PodSandboxStatusHandler implements UnaryHandler<typeof RuntimeService.method.podSandboxStatus> {
  constructor(@inject(Sandboxes) private readonly sandboxes: Sandboxes) {}

  handle(request: PodSandboxStatusRequest) {
    return this.sandboxes.status(request.podSandboxId, { verbose: request.verbose });
  }
}
