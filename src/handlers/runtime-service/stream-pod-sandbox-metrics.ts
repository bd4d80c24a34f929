import { inject, injectable } from "../../base/injection.js";
import { inChunks } from "../chunks.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { PodSandboxMetricsSchema, type StreamPodSandboxMetricsRequest } from "../../gen/runtime/v1/api_pb.js";
import { Stats } from "../../stats/index.js";
import type { CallContext, StreamHandler } from "../handler.js";

/**
 * Reports the same as ListPodSandboxMetrics, in chunks of at most 1 MiB.
 * @throws ShimError "unavailable" before the first sync, never an empty list.
 * @see CRI v1 RuntimeService.StreamPodSandboxMetrics
 */
@injectable()
export class StreamPodSandboxMetricsHandler implements StreamHandler<
  typeof RuntimeService.method.streamPodSandboxMetrics
> {
  constructor(@inject(Stats) private readonly stats: Stats) {}

  async *handle(_request: StreamPodSandboxMetricsRequest, { signal }: CallContext) {
    const metrics = await this.stats.listPodMetrics();
    for await (const chunk of inChunks(PodSandboxMetricsSchema, metrics, { signal }))
      yield { podSandboxMetrics: chunk };
  }
}
