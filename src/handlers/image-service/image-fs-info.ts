import { inject, injectable } from "../../base/injection.js";
import { Images } from "../../images/index.js";
import type { ImageService } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Reports the space that images and containers use, by file system.
 * @see CRI v1 ImageService.ImageFsInfo
 */
@injectable()
export class ImageFsInfoHandler implements UnaryHandler<typeof ImageService.method.imageFsInfo> {
  constructor(@inject(Images) private readonly images: Images) {}

  handle() {
    return this.images.fsInfo();
  }
}
