import { inject, injectable } from "../../base/injection.js";
import { inChunks } from "../chunks.js";
import { Images } from "../../images/index.js";
import type { ImageService } from "../../gen/runtime/v1/api_pb.js";
import { ImageSchema, type StreamImagesRequest } from "../../gen/runtime/v1/api_pb.js";
import type { CallContext, StreamHandler } from "../handler.js";

/**
 * Lists the images in chunks of at most 1 MiB, since a long list exceeds the limit of one message.
 * @see CRI v1 ImageService.StreamImages
 */
@injectable()
export class StreamImagesHandler implements StreamHandler<typeof ImageService.method.streamImages> {
  constructor(@inject(Images) private readonly images: Images) {}

  async *handle(request: StreamImagesRequest, { signal }: CallContext) {
    for await (const images of inChunks(ImageSchema, this.images.list(request.filter), { signal }))
      yield { images };
  }
}
