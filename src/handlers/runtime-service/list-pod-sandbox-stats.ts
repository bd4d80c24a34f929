import { inject, injectable } from "../../base/injection.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import type { ListPodSandboxStatsRequest } from "../../gen/runtime/v1/api_pb.js";
import { Stats } from "../../stats/index.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Reports the resource use of the running pods that match the filter, read from the kernel.
 * @throws ShimError "unavailable" before the first sync, never an empty list.
 * @see CRI v1 RuntimeService.ListPodSandboxStats
 */
@injectable()
export class ListPodSandboxStatsHandler implements UnaryHandler<
  typeof RuntimeService.method.listPodSandboxStats
> {
  constructor(@inject(Stats) private readonly stats: Stats) {}

  async handle(request: ListPodSandboxStatsRequest) {
    return { stats: await this.stats.listPodStats(request.filter) };
  }
}
