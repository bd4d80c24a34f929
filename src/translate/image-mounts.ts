import type { DockerMount } from "../docker/index.js";
import { MountPropagation, type Mount } from "../gen/runtime/v1/api_pb.js";
import { invalid, quote, unsupported, withoutNul } from "./validation.js";
import { speaksApi, type EngineEnvironment } from "./environment.js";
import { checkImageHandler } from "./images.js";

/** Where an image is mounted. */
export interface ImageMountTarget {
  readonly target: string;
  /** The mount's path in the request, for errors. */
  readonly field: string;
  /** The unpacked image on the node, for engines without image mounts. */
  readonly exported: string | undefined;
}

/** Whether the engine supports image mounts (API 1.48). */
export function mountsImages(env: EngineEnvironment): boolean {
  return speaksApi(env, 48);
}

/**
 * Translates an image mount, always read-only: to an image mount of Docker, else to a bind mount of the unpacked image.
 * The bind mount is in the text form of `binds` if it needs an SELinux label, which is shared by all containers.
 * @throws ShimError "invalid-argument"; "unsupported" for an engine without image mounts if the image is not unpacked.
 */
export function imageMount(
  mount: Mount,
  { target, field, exported }: ImageMountTarget,
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
    throw unsupported(`${field}.image`, "needs Docker 28 for image mounts, or a Docker on this node");
  }
  if (!mount.selinuxRelabel || !env.security.selinux) {
    return { type: "bind", source: exported, target, readonly: true };
  }
  if (!`${exported}${target}`.includes(":")) return `${exported}:${target}:ro,z`;
  throw unsupported(`${field}.selinux_relabel`, "is not supported by Docker for a path with a colon");
}

/**
 * Validates an image mount without looking at the image.
 * @throws ShimError "invalid-argument"; "unsupported" for a runtime handler in the image spec.
 */
export function checkedImage(
  mount: Mount,
  field: string,
  env: EngineEnvironment,
): { readonly image: string; readonly subPath: string } {
  if (mount.hostPath !== "") throw invalid(`${field}.host_path`, "excludes an image: set only one of them");
  if (mount.propagation !== MountPropagation.PROPAGATION_PRIVATE) {
    throw invalid(`${field}.propagation`, "must be private for an image");
  }
  if (!mount.readonly) throw invalid(`${field}.readonly`, "must be true for an image");
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

const idPrefix = "sha256:";

/**
 * Docker 28 rejects two mounts of one image in a container ("mount already exists with name") if both use the same
 * spelling. Each further mount of an image ID therefore uses a prefix that is one digit shorter.
 */
export class ImageSpellings {
  private readonly uses = new Map<string, number>();

  /** @throws ShimError "unsupported" for a second mount by name, which has no other spelling. */
  next(image: string, field: string): string {
    const used = this.uses.get(image) ?? 0;
    this.uses.set(image, used + 1);
    if (used === 0) return image;
    if (/^sha256:[0-9a-f]{64}$/.test(image) && used <= 32) {
      return image.slice(idPrefix.length, image.length - (used - 1));
    }
    throw unsupported(
      field,
      `mounts ${quote(image)} again, which Docker supports only by the image's full ID`,
    );
  }
}

/** Expands a short spelling to the full image ID, which is among the other mounts of the container. */
export function spelledOut(source: string, others: readonly string[]): string {
  if (!/^[0-9a-f]{32,64}$/.test(source)) return source;
  return others.find((other) => other.startsWith(idPrefix + source)) ?? source;
}
