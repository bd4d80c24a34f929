import { create } from "@bufbuild/protobuf";
import type { DockerContainer, DockerMount, DockerMountPoint } from "../docker/index.js";
import { imageVolumesOf, type ImageVolume } from "./exported-images.js";
import { spelledOut } from "./image-mounts.js";
import { MountPropagation, MountSchema, type Mount } from "../gen/runtime/v1/api_pb.js";

/**
 * The mounts of a container, from whatever source: requested as mounts or as `Binds`, or volumes of the image.
 * @param labels Labels that a shim wrote.
 */
export function currentMounts(
  { mounts, host }: DockerContainer,
  labels: Readonly<Record<string, string>>,
): Mount[] {
  const asked = new Map((host.mounts ?? []).map((mount) => [mount.target, mount]));
  const images = (host.mounts ?? []).flatMap(({ type, source }) => (type === "image" ? [source] : []));
  const volumes = imageVolumesOf(labels);
  return mounts.map((point) => {
    const volume = volumes.get(point.target);
    return volume ? exportedMount(point, volume) : toMount(point, asked.get(point.target), images);
  });
}

/** An image that is bind-mounted from the node. The path of the unpacked image is internal and not shown. */
function exportedMount({ target }: DockerMountPoint, { image, imageSubPath }: ImageVolume): Mount {
  return create(MountSchema, {
    containerPath: target,
    readonly: true,
    image: { image, imageRef: image },
    imageSubPath,
  });
}

function toMount(point: DockerMountPoint, asked: DockerMount | undefined, images: readonly string[]): Mount {
  const common = {
    containerPath: point.target,
    readonly: !point.writable,
    propagation: propagationOf(point.propagation ?? ""),
    recursiveReadOnly: asked?.readonlyForceRecursive ?? false,
  };
  if (asked?.type === "image") {
    const image = spelledOut(asked.source, images);
    return create(MountSchema, {
      ...common,
      image: { image, imageRef: image },
      imageSubPath: asked.imageSubpath ?? "",
    });
  }
  return create(MountSchema, { ...common, hostPath: point.source ?? "" });
}

function propagationOf(docker: string): MountPropagation {
  switch (docker) {
    case "shared":
    case "rshared":
      return MountPropagation.PROPAGATION_BIDIRECTIONAL;
    case "slave":
    case "rslave":
      return MountPropagation.PROPAGATION_HOST_TO_CONTAINER;
    default:
      return MountPropagation.PROPAGATION_PRIVATE;
  }
}
