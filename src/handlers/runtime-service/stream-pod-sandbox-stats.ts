import { inject, injectable } from "../../base/injection.js";
import { inChunks } from "../chunks.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { PodSandboxStatsSchema, type StreamPodSandboxStatsRequest } from "../../gen/runtime/v1/api_pb.js";
import { Stats } from "../../stats/index.js";
import type { CallContext, StreamHandler } from "../handler.js";

/**
 * Reports the same as ListPodSandboxStats, in chunks of at most 1 MiB.
 * @throws ShimError "unavailable" before the first sync, never an empty list.
 * @see CRI v1 RuntimeService.StreamPodSandboxStats
 */
@injectable()
export class StreamPodSandboxStatsHandler implements StreamHandler<
  typeof RuntimeService.method.streamPodSandboxStats
> {
  constructor(@inject(Stats) private readonly stats: Stats) {}

  async *handle(request: StreamPodSandboxStatsRequest, { signal }: CallContext) {
    const stats = await this.stats.listPodStats(request.filter);
    for await (const chunk of inChunks(PodSandboxStatsSchema, stats, { signal }))
      yield { podSandboxStats: chunk };
  }
}
