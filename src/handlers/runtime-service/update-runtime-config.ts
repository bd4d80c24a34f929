import { inject, injectable } from "../../base/injection.js";
import { Runtime } from "../../runtime/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type UpdateRuntimeConfigRequest } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Sets the pod CIDR that the control plane assigned to this node, for CNI plugins with the capability ipRanges.
 * @throws ShimError "invalid-argument" for a malformed subnet.
 * @see CRI v1 RuntimeService.UpdateRuntimeConfig
 */
@injectable()
export class UpdateRuntimeConfigHandler implements UnaryHandler<
  typeof RuntimeService.method.updateRuntimeConfig
> {
  constructor(@inject(Runtime) private readonly runtime: Runtime) {}

  async handle(request: UpdateRuntimeConfigRequest) {
    await this.runtime.setPodCidr(request.runtimeConfig?.networkConfig?.podCidr ?? "");
    return {};
  }
}
