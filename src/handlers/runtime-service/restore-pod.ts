import { injectable } from "../../base/injection.js";
import { notBuilt } from "../not-built.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Makes a pod out of a checkpoint.
 * @throws ShimError "unsupported": not built yet.
 * @see CRI v1 RuntimeService.RestorePod
 */
@injectable()
export class RestorePodHandler implements UnaryHandler<typeof RuntimeService.method.restorePod> {
  handle(): Promise<never> {
    throw notBuilt("RestorePod");
  }
}
