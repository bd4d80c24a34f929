import { injectable } from "../../base/injection.js";
import { notBuilt } from "../not-built.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import type { StreamHandler } from "../handler.js";

/**
 * Tells the resource use of pods in chunks.
 * @throws ShimError "unsupported": not built yet.
 * @see CRI v1 RuntimeService.StreamPodSandboxStats
 */
@injectable()
export class StreamPodSandboxStatsHandler implements StreamHandler<
  typeof RuntimeService.method.streamPodSandboxStats
> {
  handle(): AsyncIterable<never> {
    throw notBuilt("StreamPodSandboxStats");
  }
}
