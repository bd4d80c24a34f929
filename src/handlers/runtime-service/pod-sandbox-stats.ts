import { injectable } from "../../base/injection.js";
import { notBuilt } from "../not-built.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Tells the resource use of one pod.
 * @throws ShimError "unsupported": not built yet.
 * @see CRI v1 RuntimeService.PodSandboxStats
 */
@injectable()
export class PodSandboxStatsHandler implements UnaryHandler<typeof RuntimeService.method.podSandboxStats> {
  handle(): Promise<never> {
    throw notBuilt("PodSandboxStats");
  }
}
