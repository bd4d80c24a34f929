import { inject, injectable } from "../../base/injection.js";
import { Runtime } from "../../runtime/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type StatusRequest } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Reports whether Docker and the network are ready for pods, and the features of each runtime handler.
 * It does not fail when Docker is unreachable: RuntimeReady is then false, with the reason.
 * @see CRI v1 RuntimeService.Status
 */
@injectable()
export class StatusHandler implements UnaryHandler<typeof RuntimeService.method.status> {
  constructor(@inject(Runtime) private readonly runtime: Runtime) {}

  handle(request: StatusRequest) {
    return this.runtime.status({ verbose: request.verbose });
  }
}
