import { inject, injectable } from "../../base/injection.js";
import { Containers } from "../../containers/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type CreateContainerRequest } from "../../gen/runtime/v1/api_pb.js";
import type { CallContext, UnaryHandler } from "../handler.js";

/**
 * Creates a container in a pod without starting it. When the caller cancels, a container under creation is removed.
 * @throws ShimError "not-found" for an unknown pod or image; "invalid-argument", "unsupported" for a wrong
 *   configuration; "already-exists" when a running container has the same name and attempt.
 * @see CRI v1 RuntimeService.CreateContainer
 */
@injectable()
export class CreateContainerHandler implements UnaryHandler<typeof RuntimeService.method.createContainer> {
  constructor(@inject(Containers) private readonly containers: Containers) {}

  async handle(request: CreateContainerRequest, { signal }: CallContext) {
    const { podSandboxId, config, sandboxConfig } = request;
    return { containerId: await this.containers.create(podSandboxId, config, sandboxConfig, signal) };
  }
}
