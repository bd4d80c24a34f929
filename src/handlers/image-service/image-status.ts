import { inject, injectable } from "../../base/injection.js";
import { Images } from "../../images/index.js";
import type { ImageService } from "../../gen/runtime/v1/api_pb.js";
import { type ImageStatusRequest } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Describes one image, by id or any of its names. An unknown image is an empty answer.
 * @see CRI v1 ImageService.ImageStatus
 */
@injectable()
export class ImageStatusHandler implements UnaryHandler<typeof ImageService.method.imageStatus> {
  constructor(@inject(Images) private readonly images: Images) {}

  handle(request: ImageStatusRequest) {
    return this.images.status(request.image, { verbose: request.verbose });
  }
}
