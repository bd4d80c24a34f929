import { inject, injectable } from "../../base/injection.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import type { PodSandboxStatsRequest } from "../../gen/runtime/v1/api_pb.js";
import { Stats } from "../../stats/index.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Reports the resource use of one pod and of its containers, read from the kernel.
 * @throws ShimError "not-found".
 * @see CRI v1 RuntimeService.PodSandboxStats
 */
@injectable()
export class PodSandboxStatsHandler implements UnaryHandler<typeof RuntimeService.method.podSandboxStats> {
  constructor(@inject(Stats) private readonly stats: Stats) {}

  async handle(request: PodSandboxStatsRequest) {
    return { stats: await this.stats.podStats(request.podSandboxId) };
  }
}
