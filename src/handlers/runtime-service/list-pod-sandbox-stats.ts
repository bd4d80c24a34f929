import { injectable } from "../../base/injection.js";
import { notBuilt } from "../not-built.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Tells the resource use of pods.
 * @throws ShimError "unsupported": not built yet.
 * @see CRI v1 RuntimeService.ListPodSandboxStats
 */
@injectable()
export class ListPodSandboxStatsHandler implements UnaryHandler<
  typeof RuntimeService.method.listPodSandboxStats
> {
  handle(): Promise<never> {
    throw notBuilt("ListPodSandboxStats");
  }
}
