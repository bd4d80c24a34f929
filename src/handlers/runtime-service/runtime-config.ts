import { inject, injectable } from "../../base/injection.js";
import { Runtime } from "../../runtime/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Reports Docker's cgroup driver, so that kubelet uses the same one.
 * @throws ShimError "unavailable" when Docker has not been reached yet.
 * @see CRI v1 RuntimeService.RuntimeConfig
 */
@injectable()
export class RuntimeConfigHandler implements UnaryHandler<typeof RuntimeService.method.runtimeConfig> {
  constructor(@inject(Runtime) private readonly runtime: Runtime) {}

  handle() {
    return { linux: { cgroupDriver: this.runtime.cgroupDriver() } };
  }
}
