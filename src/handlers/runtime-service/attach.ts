import { inject, injectable } from "../../base/injection.js";
import type { AttachRequest, RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { Streaming } from "../../streaming/index.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Prepares a streaming attach. The returned URL can be used once, within a minute.
 * @throws ShimError "failed-precondition" when the container does not run; "resource-exhausted" when too many URLs
 *   are unused.
 * @see CRI v1 RuntimeService.Attach
 */
@injectable()
export class AttachHandler implements UnaryHandler<typeof RuntimeService.method.attach> {
  constructor(@inject(Streaming) private readonly streaming: Streaming) {}

  async handle({ containerId, stdin, stdout, stderr, tty }: AttachRequest) {
    return { url: await this.streaming.attachUrl(containerId, { stdin, stdout, stderr, tty }) };
  }
}
