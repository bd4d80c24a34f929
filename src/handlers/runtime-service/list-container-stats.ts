import { inject, injectable } from "../../base/injection.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import type { ListContainerStatsRequest } from "../../gen/runtime/v1/api_pb.js";
import { Stats } from "../../stats/index.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Reports the resource use of the running containers that match the filter, read from the kernel.
 * @throws ShimError "unavailable" before the first sync, never an empty list.
 * @see CRI v1 RuntimeService.ListContainerStats
 */
@injectable()
export class ListContainerStatsHandler implements UnaryHandler<
  typeof RuntimeService.method.listContainerStats
> {
  constructor(@inject(Stats) private readonly stats: Stats) {}

  async handle(request: ListContainerStatsRequest) {
    return { stats: await this.stats.listContainerStats(request.filter) };
  }
}
