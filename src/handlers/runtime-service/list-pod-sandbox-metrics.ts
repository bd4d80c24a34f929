import { inject, injectable } from "../../base/injection.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { Stats } from "../../stats/index.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Reports the metrics of the running pods and their containers, read from the kernel.
 * @throws ShimError "unavailable" before the first sync, never an empty list.
 * @see CRI v1 RuntimeService.ListPodSandboxMetrics
 */
@injectable()
export class ListPodSandboxMetricsHandler implements UnaryHandler<
  typeof RuntimeService.method.listPodSandboxMetrics
> {
  constructor(@inject(Stats) private readonly stats: Stats) {}

  async handle() {
    return { podMetrics: await this.stats.listPodMetrics() };
  }
}
