import { inject, injectable } from "../../base/injection.js";
import { Sandboxes } from "../../sandbox/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type RunPodSandboxRequest } from "../../gen/runtime/v1/api_pb.js";
import type { CallContext, UnaryHandler } from "../handler.js";

/**
 * Makes a pod: the container that holds its namespaces, its resolv.conf and its network. What was made
 * is undone when a later step fails. A caller that goes does not cut the work.
 * @throws ShimError "invalid-argument", "unsupported", "already-exists", depending on the configuration.
 * @see CRI v1 RuntimeService.RunPodSandbox
 */
@injectable()
export class RunPodSandboxHandler implements UnaryHandler<typeof RuntimeService.method.runPodSandbox> {
  constructor(@inject(Sandboxes) private readonly sandboxes: Sandboxes) {}

  async handle(request: RunPodSandboxRequest, { signal, timeoutMs }: CallContext) {
    const podSandboxId = await this.sandboxes.run(request.config, request.runtimeHandler, {
      signal,
      timeoutMs,
    });
    return { podSandboxId };
  }
}
