import { inject, injectable } from "../../base/injection.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { Stats } from "../../stats/index.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Lists the metrics of ListPodSandboxMetrics: names, labels and types are cAdvisor's.
 * @see CRI v1 RuntimeService.ListMetricDescriptors
 */
@injectable()
export class ListMetricDescriptorsHandler implements UnaryHandler<
  typeof RuntimeService.method.listMetricDescriptors
> {
  constructor(@inject(Stats) private readonly stats: Stats) {}

  handle() {
    return { descriptors: [...this.stats.metricDescriptors] };
  }
}
