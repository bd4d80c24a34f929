import { injectable } from "../../base/injection.js";
import { notBuilt } from "../not-built.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Tells the resource use of one container.
 * @throws ShimError "unsupported": not built yet.
 * @see CRI v1 RuntimeService.ContainerStats
 */
@injectable()
export class ContainerStatsHandler implements UnaryHandler<typeof RuntimeService.method.containerStats> {
  handle(): Promise<never> {
    throw notBuilt("ContainerStats");
  }
}
