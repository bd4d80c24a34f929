import { inject, injectable } from "../../base/injection.js";
import { Images } from "../../images/index.js";
import type { ImageService } from "../../gen/runtime/v1/api_pb.js";
import { type ListImagesRequest } from "../../gen/runtime/v1/api_pb.js";
import type { UnaryHandler } from "../handler.js";

/**
 * Lists the images on the node, from the inventory.
 * @throws ShimError "unavailable" before the first sync, never an empty list.
 * @see CRI v1 ImageService.ListImages
 */
@injectable()
export class ListImagesHandler implements UnaryHandler<typeof ImageService.method.listImages> {
  constructor(@inject(Images) private readonly images: Images) {}

  handle(request: ListImagesRequest) {
    return { images: this.images.list(request.filter) };
  }
}
