import { inject, injectable } from "../../base/injection.js";
import { Images } from "../../images/index.js";
import type { ImageService } from "../../gen/runtime/v1/api_pb.js";
import { type PullImageRequest } from "../../gen/runtime/v1/api_pb.js";
import type { CallContext, UnaryHandler } from "../handler.js";

/**
 * Pulls an image; a pull has no time limit, but one without progress is cancelled. Calls with the same reference and
 * login share a pull; a cancelled call does not end it for the others.
 * @throws ShimError "invalid-argument" for a malformed name; "not-found", "unauthenticated",
 *   "registry-unavailable", "resource-exhausted", "deadline-exceeded".
 * @see CRI v1 ImageService.PullImage
 */
@injectable()
export class PullImageHandler implements UnaryHandler<typeof ImageService.method.pullImage> {
  constructor(@inject(Images) private readonly images: Images) {}

  async handle(request: PullImageRequest, { signal }: CallContext) {
    return { imageRef: await this.images.pull(request.image, request.auth, signal) };
  }
}
