import { injectable } from "../../base/injection.js";
import { notBuilt } from "../not-built.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Names the metrics of pods.
 * @throws ShimError "unsupported": not built yet.
 * @see CRI v1 RuntimeService.ListMetricDescriptors
 */
@injectable()
export class ListMetricDescriptorsHandler implements UnaryHandler<
  typeof RuntimeService.method.listMetricDescriptors
> {
  handle(): Promise<never> {
    throw notBuilt("ListMetricDescriptors");
  }
}
