import { inject, injectable } from "../../base/injection.js";
import { inChunks } from "../chunks.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { ContainerStatsSchema, type StreamContainerStatsRequest } from "../../gen/runtime/v1/api_pb.js";
import { Stats } from "../../stats/index.js";
import type { CallContext, StreamHandler } from "../handler.js";

/**
 * Reports the same as ListContainerStats, in chunks of at most 1 MiB.
 * @throws ShimError "unavailable" before the first sync, never an empty list.
 * @see CRI v1 RuntimeService.StreamContainerStats
 */
@injectable()
export class StreamContainerStatsHandler implements StreamHandler<
  typeof RuntimeService.method.streamContainerStats
> {
  constructor(@inject(Stats) private readonly stats: Stats) {}

  async *handle(request: StreamContainerStatsRequest, { signal }: CallContext) {
    const stats = await this.stats.listContainerStats(request.filter);
    for await (const chunk of inChunks(ContainerStatsSchema, stats, { signal }))
      yield { containerStats: chunk };
  }
}
