import { injectable } from "../../base/injection.js";
import { notBuilt } from "../not-built.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Prepares attaching to a container.
 * @throws ShimError "unsupported": not built yet.
 * @see CRI v1 RuntimeService.Attach
 */
@injectable()
export class AttachHandler implements UnaryHandler<typeof RuntimeService.method.attach> {
  handle(): Promise<never> {
    throw notBuilt("Attach");
  }
}
