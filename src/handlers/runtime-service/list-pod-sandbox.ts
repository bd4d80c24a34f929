import { inject, injectable } from "../../base/injection.js";
import { Sandboxes } from "../../sandbox/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { type ListPodSandboxRequest } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Lists the pods that match the filter, from the inventory.
 * @throws ShimError "unavailable" before the first sync, never an empty list.
 * @see CRI v1 RuntimeService.ListPodSandbox
 */
@injectable()
export class ListPodSandboxHandler implements UnaryHandler<typeof RuntimeService.method.listPodSandbox> {
  constructor(@inject(Sandboxes) private readonly sandboxes: Sandboxes) {}

  handle(request: ListPodSandboxRequest) {
    return { items: this.sandboxes.list(request.filter) };
  }
}
