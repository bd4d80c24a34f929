import { injectable } from "../../base/injection.js";
import { notBuilt } from "../not-built.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Prepares a streaming exec.
 * @throws ShimError "unsupported": not built yet.
 * @see CRI v1 RuntimeService.Exec
 */
@injectable()
export class ExecHandler implements UnaryHandler<typeof RuntimeService.method.exec> {
  handle(): Promise<never> {
    throw notBuilt("Exec");
  }
}
