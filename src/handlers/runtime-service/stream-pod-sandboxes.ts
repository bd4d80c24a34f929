import { inject, injectable } from "../../base/injection.js";
import { inChunks } from "../chunks.js";
import { Sandboxes } from "../../sandbox/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { PodSandboxSchema, type StreamPodSandboxesRequest } from "../../gen/runtime/v1/api_pb.js";
import type { CallContext, StreamHandler } from "../handler.js";

/**
 * Lists the pods that match the filter in chunks of at most 1 MiB, since a long list exceeds the limit of one message.
 * @see CRI v1 RuntimeService.StreamPodSandboxes
 */
@injectable()
export class StreamPodSandboxesHandler implements StreamHandler<
  typeof RuntimeService.method.streamPodSandboxes
> {
  constructor(@inject(Sandboxes) private readonly sandboxes: Sandboxes) {}

  async *handle(request: StreamPodSandboxesRequest, { signal }: CallContext) {
    const found = this.sandboxes.list(request.filter);
    for await (const podSandboxes of inChunks(PodSandboxSchema, found, { signal })) yield { podSandboxes };
  }
}
