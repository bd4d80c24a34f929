import { inject, injectable } from "../../base/injection.js";
import { Runtime } from "../../runtime/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type VersionRequest } from "../../gen/runtime/v1/api_pb.js";
import type { CallContext, UnaryHandler } from "../handler.js";

/**
 * Reports the names and versions of runtime and API. It waits for the first connection to Docker for a limited time:
 * kubelet exits when it gets an error here.
 * @throws ShimError "unavailable" when Docker cannot be reached.
 * @see CRI v1 RuntimeService.Version
 */
@injectable()
export class VersionHandler implements UnaryHandler<typeof RuntimeService.method.version> {
  constructor(@inject(Runtime) private readonly runtime: Runtime) {}

  handle(_request: VersionRequest, context: CallContext) {
    return this.runtime.isKnown ? this.runtime.version() : this.runtime.firstVersion(context.signal);
  }
}
