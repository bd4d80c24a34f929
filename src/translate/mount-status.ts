import { create } from "@bufbuild/protobuf";
import type { DockerContainer, DockerMount, DockerMountPoint } from "../docker/index.js";
import { spelledOut } from "./image-spellings.js";
import { MountPropagation, MountSchema, type Mount } from "../gen/runtime/v1/api_pb.js";

/**
 * What is mounted in a container, whichever way it was asked for: older shims used Docker's `Binds`, and
 * images bring volumes of their own.
 */
export function currentMounts({ mounts, host }: DockerContainer): Mount[] {
  const asked = new Map((host.mounts ?? []).map((mount) => [mount.target, mount]));
  const images = (host.mounts ?? []).flatMap(({ type, source }) => (type === "image" ? [source] : []));
  return mounts.map((point) => toMount(point, asked.get(point.target), images));
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
