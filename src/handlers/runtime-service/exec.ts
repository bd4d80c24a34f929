import { inject, injectable } from "../../base/injection.js";
import type { ExecRequest, RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { Streaming } from "../../streaming/index.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Prepares a streaming exec. The returned URL can be used once, within a minute.
 * @throws ShimError "failed-precondition" when the container does not run; "resource-exhausted" when too many URLs
 *   are unused.
 * @see CRI v1 RuntimeService.Exec
 */
@injectable()
export class ExecHandler implements UnaryHandler<typeof RuntimeService.method.exec> {
  constructor(@inject(Streaming) private readonly streaming: Streaming) {}

  async handle({ containerId, cmd, stdin, stdout, stderr, tty }: ExecRequest) {
    return { url: await this.streaming.execUrl(containerId, cmd, { stdin, stdout, stderr, tty }) };
  }
}
