import { inject, injectable } from "../../base/injection.js";
import { inChunks } from "../chunks.js";
import { Containers } from "../../containers/index.js";
import type { RuntimeService } from "../../gen/runtime/v1/api_pb.js";
import { ContainerSchema, type StreamContainersRequest } from "../../gen/runtime/v1/api_pb.js";
import type { CallContext, StreamHandler } from "../handler.js";

/**
 * Lists the containers that match the filter in chunks of at most 1 MiB, since a long list exceeds the limit of one message.
 * @see CRI v1 RuntimeService.StreamContainers
 */
@injectable()
export class StreamContainersHandler implements StreamHandler<typeof RuntimeService.method.streamContainers> {
  constructor(@inject(Containers) private readonly containers: Containers) {}

  async *handle(request: StreamContainersRequest, { signal }: CallContext) {
    const found = this.containers.list(request.filter);
    for await (const containers of inChunks(ContainerSchema, found, { signal })) yield { containers };
  }
}
