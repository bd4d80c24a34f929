import { inject, injectable } from "../../base/injection.js";
import type { PortForwardRequest, RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { Streaming } from "../../streaming/index.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Prepares forwarding of a pod's ports. The returned URL can be used once, within a minute.
 * @throws ShimError "failed-precondition" when the pod does not run; "resource-exhausted" when too many URLs are
 *   unused.
 * @see CRI v1 RuntimeService.PortForward
 */
@injectable()
export class PortForwardHandler implements UnaryHandler<typeof RuntimeService.method.portForward> {
  constructor(@inject(Streaming) private readonly streaming: Streaming) {}

  async handle({ podSandboxId, port }: PortForwardRequest) {
    return { url: await this.streaming.portForwardUrl(podSandboxId, port) };
  }
}
