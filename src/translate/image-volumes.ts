import { posix } from "node:path";
import type { Mount } from "../gen/runtime/v1/api_pb.js";

/** On containers that see exported images: which. */
export const imageVolumesLabel = "io.kubernetes.docker.image-volumes";

/** Where an image is on the node, on an engine that has no image mounts (before API 1.48). */
export interface ExportedImage {
  /** `sha256:…` */
  readonly imageId: string;
  /** What shall be seen, sub-path included, every link in it resolved inside the image. */
  readonly path: string;
}

/** By container path. */
export type ExportedImages = ReadonlyMap<string, ExportedImage>;

/** What a label says of such a mount: to Docker it is a folder like any other. */
export interface ImageVolume {
  readonly imageId: string;
  /** As the request named it. */
  readonly image: string;
  readonly imageSubPath: string;
}

/** The label of a container that sees exported images; none without them. */
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

/** Reads the label back, by container path; what anybody else wrote there counts as nothing. */
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
