import { injectable } from "../../base/injection.js";
import { notBuilt } from "../not-built.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import type { StreamHandler } from "../handler.js";

/**
 * Tells the metrics of pods in chunks.
 * @throws ShimError "unsupported": not built yet.
 * @see CRI v1 RuntimeService.StreamPodSandboxMetrics
 */
@injectable()
export class StreamPodSandboxMetricsHandler implements StreamHandler<
  typeof RuntimeService.method.streamPodSandboxMetrics
> {
  handle(): AsyncIterable<never> {
    throw notBuilt("StreamPodSandboxMetrics");
  }
}
