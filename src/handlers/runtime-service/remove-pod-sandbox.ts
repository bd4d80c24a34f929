import { inject, injectable } from "../../base/injection.js";
import { Sandboxes } from "../../sandbox/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type RemovePodSandboxRequest } from "../../gen/runtime/v1/api_pb.js";
import type { CallContext, UnaryHandler } from "../handler.js";

/**
 * Removes a pod with its containers, running or not. Succeeds if it does not exist.
 * @see CRI v1 RuntimeService.RemovePodSandbox
 */
@injectable()
export class RemovePodSandboxHandler implements UnaryHandler<typeof RuntimeService.method.removePodSandbox> {
  constructor(@inject(Sandboxes) private readonly sandboxes: Sandboxes) {}

  async handle(request: RemovePodSandboxRequest, { signal }: CallContext) {
    await this.sandboxes.remove(request.podSandboxId, signal);
    return {};
  }
}
