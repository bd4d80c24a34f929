import { inject, injectable } from "../../base/injection.js";
import { Sandboxes } from "../../sandbox/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type StopPodSandboxRequest } from "../../gen/runtime/v1/api_pb.js";
import type { CallContext, UnaryHandler } from "../handler.js";

/**
 * Stops the containers of a pod and releases its addresses. Succeeds if the pod is stopped or does not exist.
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
