import { inject, injectable } from "../../base/injection.js";
import { Images } from "../../images/index.js";
import type { ImageService } from "../../gen/runtime/v1/api_pb.js";
import { type RemoveImageRequest } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Removes an image, by any of its names. Succeeds if it does not exist.
 * @throws ShimError "failed-precondition" when a container uses it, or it is pinned.
 * @see CRI v1 ImageService.RemoveImage
 */
@injectable()
export class RemoveImageHandler implements UnaryHandler<typeof ImageService.method.removeImage> {
  constructor(@inject(Images) private readonly images: Images) {}

  async handle(request: RemoveImageRequest) {
    await this.images.remove(request.image);
    return {};
  }
}
