import { injectable } from "../../base/injection.js";
import { notBuilt } from "../not-built.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Prepares forwarding of ports of a pod.
 * @throws ShimError "unsupported": not built yet.
 * @see CRI v1 RuntimeService.PortForward
 */
@injectable()
export class PortForwardHandler implements UnaryHandler<typeof RuntimeService.method.portForward> {
  handle(): Promise<never> {
    throw notBuilt("PortForward");
  }
}
