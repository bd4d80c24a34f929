import type { DockerMount } from "../docker/index.js";
import { MountPropagation, type Mount } from "../gen/runtime/v1/api_pb.js";
import { invalid, quote, unsupported, withoutNul } from "./checks.js";
import { speaksApi, type EngineEnvironment } from "./environment.js";
import type { ImageSpellings } from "./image-spellings.js";
import { checkImageHandler } from "./image-spec.js";

/** One mount of an image. */
export interface ImageMountPlace {
  readonly target: string;
  /** The mount's path in the request, for errors. */
  readonly field: string;
  /** What shall be seen, where Docker cannot mount images: a folder or file of the node. */
  readonly exported: string | undefined;
}

/** True where Docker mounts images itself. */
export function mountsImages(env: EngineEnvironment): boolean {
  return speaksApi(env, 48);
}

/**
 * A mount of an image, always read-only: of Docker's own kind, or of the folder that holds it, as one of `binds`
 * where it needs an SELinux label, which all containers that see it share.
 * @throws ShimError "invalid-argument"; "unsupported" where nothing was exported and Docker has no such mounts.
 */
export function imageMount(
  mount: Mount,
  { target, field, exported }: ImageMountPlace,
  env: EngineEnvironment,
  images: ImageSpellings,
): DockerMount | string {
  const { image, subPath } = checkedImage(mount, field, env);
  if (mountsImages(env)) {
    return {
      type: "image",
      source: images.next(image, `${field}.image.image`),
      target,
      readonly: true,
      ...(subPath === "" ? {} : { imageSubpath: subPath }),
    };
  }
  if (exported === undefined) {
    throw unsupported(
      `${field}.image`,
      "needs Docker 28, which is the first that mounts images, or one on this node",
    );
  }
  if (!mount.selinuxRelabel || !env.security.selinux) {
    return { type: "bind", source: exported, target, readonly: true };
  }
  if (!`${exported}${target}`.includes(":")) return `${exported}:${target}:ro,z`;
  throw unsupported(
    `${field}.selinux_relabel`,
    "cannot be done through Docker for a path that holds a colon",
  );
}

/**
 * Checks all of an image's mount that needs no look at the image.
 * @throws ShimError "invalid-argument"; "unsupported" for a runtime of the image's own.
 */
export function checkedImage(
  mount: Mount,
  field: string,
  env: EngineEnvironment,
): { readonly image: string; readonly subPath: string } {
  if (mount.hostPath !== "") throw invalid(`${field}.host_path`, "excludes an image");
  if (mount.propagation !== MountPropagation.PROPAGATION_PRIVATE) {
    throw invalid(`${field}.propagation`, "must be private for an image");
  }
  const image = mount.image?.image ?? "";
  if (image === "") throw invalid(`${field}.image.image`, "is missing");
  checkImageHandler(mount.image, env, `${field}.image`);
  const subPath = withoutNul(mount.imageSubPath, `${field}.image_sub_path`);
  if (subPath.startsWith("/") || subPath.split("/").includes("..")) {
    throw invalid(
      `${field}.image_sub_path`,
      `must be a relative path inside the image, but is ${quote(subPath)}`,
    );
  }
  return { image: withoutNul(image, `${field}.image.image`), subPath };
}
