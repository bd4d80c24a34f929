import { injectable } from "../../base/injection.js";
import { notBuilt } from "../not-built.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Tells the resource use of containers.
 * @throws ShimError "unsupported": not built yet.
 * @see CRI v1 RuntimeService.ListContainerStats
 */
@injectable()
export class ListContainerStatsHandler implements UnaryHandler<
  typeof RuntimeService.method.listContainerStats
> {
  handle(): Promise<never> {
    throw notBuilt("ListContainerStats");
  }
}
