import { inject, injectable } from "../../base/injection.js";
import { Sandboxes } from "../../sandbox/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type StopPodSandboxRequest } from "../../gen/runtime/v1/api_pb.js";
import type { CallContext, UnaryHandler } from "../handler.js";

/**
 * Stops what runs in a pod and gives its addresses back. A pod that is stopped, or gone, counts as stopped.
 * @see CRI v1 RuntimeService.StopPodSandbox
 */
@injectable()
export class StopPodSandboxHandler implements UnaryHandler<typeof RuntimeService.method.stopPodSandbox> {
  constructor(@inject(Sandboxes) private readonly sandboxes: Sandboxes) {}

  async handle(request: StopPodSandboxRequest, { signal }: CallContext) {
    await this.sandboxes.stop(request.podSandboxId, signal);
    return {};
  }
}
