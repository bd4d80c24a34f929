import { injectable } from "../../base/injection.js";
import { notBuilt } from "../not-built.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Tells the metrics of pods.
 * @throws ShimError "unsupported": not built yet.
 * @see CRI v1 RuntimeService.ListPodSandboxMetrics
 */
@injectable()
export class ListPodSandboxMetricsHandler implements UnaryHandler<
  typeof RuntimeService.method.listPodSandboxMetrics
> {
  handle(): Promise<never> {
    throw notBuilt("ListPodSandboxMetrics");
  }
}
