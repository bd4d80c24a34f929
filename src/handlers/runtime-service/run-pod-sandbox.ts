import { inject, injectable } from "../../base/injection.js";
import { Sandboxes } from "../../sandbox/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type RunPodSandboxRequest } from "../../gen/runtime/v1/api_pb.js";
import type { CallContext, UnaryHandler } from "../handler.js";

/**
 * Creates a pod: the container that holds its namespaces, its resolv.conf and its network. If a step fails, the
 * earlier ones are undone. The work continues when the caller cancels.
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
