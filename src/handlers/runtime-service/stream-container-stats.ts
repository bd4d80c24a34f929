import { injectable } from "../../base/injection.js";
import { notBuilt } from "../not-built.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import type { StreamHandler } from "../handler.js";

/**
 * Tells the resource use of containers in chunks.
 * @throws ShimError "unsupported": not built yet.
 * @see CRI v1 RuntimeService.StreamContainerStats
 */
@injectable()
export class StreamContainerStatsHandler implements StreamHandler<
  typeof RuntimeService.method.streamContainerStats
> {
  handle(): AsyncIterable<never> {
    throw notBuilt("StreamContainerStats");
  }
}
