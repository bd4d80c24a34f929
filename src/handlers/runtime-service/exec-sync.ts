import { inject, injectable } from "../../base/injection.js";
import { Containers } from "../../containers/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type ExecSyncRequest } from "../../gen/runtime/v1/api_pb.js";
import type { CallContext, UnaryHandler } from "../handler.js";

/**
 * Runs a command in a container and returns its output and exit code.
 * @throws ShimError "deadline-exceeded" after the timeout; the process is killed.
 * @see CRI v1 RuntimeService.ExecSync
 */
@injectable()
export class ExecSyncHandler implements UnaryHandler<typeof RuntimeService.method.execSync> {
  constructor(@inject(Containers) private readonly containers: Containers) {}

  handle(request: ExecSyncRequest, { signal }: CallContext) {
    return this.containers.execSync({
      containerId: request.containerId,
      command: request.cmd,
      timeoutSeconds: Number(request.timeout),
      signal,
    });
  }
}
