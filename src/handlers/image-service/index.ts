export { ImageFsInfoHandler } from "./image-fs-info.js";
export { ImageStatusHandler } from "./image-status.js";
export { ListImagesHandler } from "./list-images.js";
export { PullImageHandler } from "./pull-image.js";
export { RemoveImageHandler } from "./remove-image.js";
export { StreamImagesHandler } from "./stream-images.js";
