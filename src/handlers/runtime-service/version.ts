import { inject, injectable } from "../../base/injection.js";
import { Runtime } from "../../runtime/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type VersionRequest } from "../../gen/runtime/v1/api_pb.js";
import type { CallContext, UnaryHandler } from "../handler.js";

/**
 * Names runtime and API, with their versions. It waits a while for the first contact with Docker:
 * a kubelet that gets an error here ends.
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
