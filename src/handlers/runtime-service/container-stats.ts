import { inject, injectable } from "../../base/injection.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import type { ContainerStatsRequest } from "../../gen/runtime/v1/api_pb.js";
import { Stats } from "../../stats/index.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Reports the resource use of one container, read from the kernel.
 * @throws ShimError "not-found".
 * @see CRI v1 RuntimeService.ContainerStats
 */
@injectable()
export class ContainerStatsHandler implements UnaryHandler<typeof RuntimeService.method.containerStats> {
  constructor(@inject(Stats) private readonly stats: Stats) {}

  async handle(request: ContainerStatsRequest) {
    return { stats: await this.stats.containerStats(request.containerId) };
  }
}
