import { posix } from "node:path";
import type { Mount } from "../gen/runtime/v1/api_pb.js";

/** Label on containers with mounts of unpacked images. Its value lists the images by container path. */
export const imageVolumesLabel = "io.kubernetes.docker.image-volumes";

/** An image that was unpacked on the node, for engines without image mounts (before API 1.48). */
export interface ExportedImage {
  /** `sha256:…` */
  readonly imageId: string;
  /** The path to mount, including the sub-path, with all symlinks resolved inside the image. */
  readonly path: string;
}

/** By container path. */
export type ExportedImages = ReadonlyMap<string, ExportedImage>;

/** The mount's image, as recorded in the label. Docker itself knows only a bind mount. */
export interface ImageVolume {
  readonly imageId: string;
  /** The image name of the request. */
  readonly image: string;
  readonly imageSubPath: string;
}

/** The label for a container's mounts of unpacked images. Empty if there are none. */
export function imageVolumesLabels(
  mounts: readonly Mount[],
  exported: ExportedImages,
): Readonly<Record<string, string>> {
  const volumes = mounts.flatMap(({ containerPath, image, imageSubPath }) => {
    const imageId = image && exported.get(containerPath)?.imageId;
    if (imageId === undefined) return [];
    return [[posix.resolve(containerPath), { imageId, image: image?.image ?? "", imageSubPath }] as const];
  });
  return volumes.length === 0 ? {} : { [imageVolumesLabel]: JSON.stringify(Object.fromEntries(volumes)) };
}

/** Parses the label, by container path. Malformed content is ignored. */
export function imageVolumesOf(labels: Readonly<Record<string, string>>): ReadonlyMap<string, ImageVolume> {
  const text = labels[imageVolumesLabel];
  if (text === undefined) return new Map();
  try {
    const entries = Object.entries(JSON.parse(text) as Readonly<Record<string, unknown>>);
    return new Map(entries.filter((entry): entry is [string, ImageVolume] => isImageVolume(entry[1])));
  } catch {
    return new Map();
  }
}

function isImageVolume(value: unknown): value is ImageVolume {
  if (typeof value !== "object" || value === null) return false;
  const fields: Partial<Record<keyof ImageVolume, unknown>> = value;
  return [fields.imageId, fields.image, fields.imageSubPath].every((field) => typeof field === "string");
}
