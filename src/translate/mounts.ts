import { posix } from "node:path";
import type { DockerMount } from "../docker/index.js";
import { MountPropagation, type Mount } from "../gen/runtime/v1/api_pb.js";
import { absolutePath, invalid, quote, unsupported, withoutNul } from "./checks.js";
import { recursiveReadOnlySupported, speaksApi, type EngineEnvironment } from "./environment.js";
import { ImageSpellings } from "./image-spellings.js";
import { checkImageHandler } from "./image-spec.js";

export interface MountContext {
  readonly env: EngineEnvironment;
  /** The OCI runtime of the pod; empty: the default. */
  readonly runtime: string;
  /**
   * For image mounts on engines that have none of their own: by container path, the folder on the node that
   * holds what shall be seen, sub-path included, every link in it resolved inside the image.
   */
  readonly imageVolumePaths: ReadonlyMap<string, string>;
}

/** Docker's two ways of bind mounting: `binds` are texts, and do what `mounts` cannot. */
export interface DockerMounts {
  readonly mounts: DockerMount[];
  readonly binds: string[];
}

type Propagation = "rslave" | "rshared";

/** @throws ShimError "invalid-argument"; "unsupported" for what the engine cannot mount. */
export function dockerMounts(requested: readonly Mount[], context: MountContext): DockerMounts {
  const mounts: DockerMount[] = [];
  const binds: string[] = [];
  const images = new ImageSpellings();
  for (const [index, mount] of requested.entries()) {
    const field = `config.mounts[${index}]`;
    const target = targetOf(mount, field);
    if (mount.image) {
      mounts.push(imageMount(mount, target, field, context, images));
      continue;
    }
    const source = absolutePath(mount.hostPath, `${field}.host_path`);
    if (mount.imageSubPath !== "") throw invalid(`${field}.image_sub_path`, "needs an image");
    checkRecursiveReadOnly(mount, field, context);
    const text = bindText(mount, source, target, field, context.env);
    if (text !== undefined) binds.push(text);
    else mounts.push(bindMount(mount, source, target, field, context.env));
  }
  return { mounts, binds };
}

function targetOf({ containerPath }: Mount, field: string): string {
  const path = absolutePath(containerPath, `${field}.container_path`);
  if (posix.normalize(path) === "/") throw invalid(`${field}.container_path`, "must not be /");
  return path;
}

function bindMount(
  mount: Mount,
  source: string,
  target: string,
  field: string,
  env: EngineEnvironment,
): DockerMount {
  const propagation = propagationOf(mount, field);
  return {
    type: "bind",
    source,
    target,
    ...(mount.readonly ? { readonly: true } : {}),
    ...(propagation === undefined ? {} : { propagation }),
    // Docker makes read-only mounts recursive by itself from API 1.44 on, which CRI asks for separately.
    ...(mount.recursiveReadOnly
      ? { readonlyForceRecursive: true, propagation: "rprivate" as const }
      : mount.readonly && speaksApi(env, 44)
        ? { readonlyNonRecursive: true }
        : {}),
    ...(env.missingHostPath === "create" && speaksApi(env, 42) ? { createMountpoint: true } : {}),
  };
}

/**
 * The mount as one of `binds`, where that is the only way: to give the path an SELinux label, and to make a
 * missing one before API 1.42. A colon in a path cannot be said in it.
 */
function bindText(
  mount: Mount,
  source: string,
  target: string,
  field: string,
  env: EngineEnvironment,
): string | undefined {
  const relabel = mount.selinuxRelabel && env.security.selinux;
  const make = env.missingHostPath === "create" && !speaksApi(env, 42);
  if (!relabel && !make) return undefined;
  if (source.includes(":") || target.includes(":")) {
    if (!relabel) return undefined;
    throw unsupported(
      `${field}.selinux_relabel`,
      "cannot be done through Docker for a path that holds a colon",
    );
  }
  const options = [mount.readonly ? "ro" : "rw", relabel ? "Z" : undefined, propagationOf(mount, field)];
  return `${source}:${target}:${options.filter((option) => option !== undefined).join(",")}`;
}

/** Private is left to Docker, which makes it `rslave` for folders that hold its own mounts. */
function propagationOf({ propagation }: Mount, field: string): Propagation | undefined {
  switch (propagation) {
    case MountPropagation.PROPAGATION_PRIVATE:
      return undefined;
    case MountPropagation.PROPAGATION_HOST_TO_CONTAINER:
      return "rslave";
    case MountPropagation.PROPAGATION_BIDIRECTIONAL:
      return "rshared";
    default:
      throw invalid(`${field}.propagation`, `has a value that CRI v1 does not know`);
  }
}

function checkRecursiveReadOnly(mount: Mount, field: string, { env, runtime }: MountContext): void {
  if (!mount.recursiveReadOnly) return;
  const name = `${field}.recursive_read_only`;
  if (!mount.readonly) throw invalid(name, "needs readonly beside it");
  if (mount.propagation !== MountPropagation.PROPAGATION_PRIVATE) {
    throw invalid(name, "needs private propagation");
  }
  if (recursiveReadOnlySupported(env, runtime)) return;
  // The kubelet looks for the first word.
  throw unsupported(
    "RROUnsupported:",
    `${name} of ${quote(mount.hostPath)} needs Docker 25, Linux 5.12 and a runtime that reports "rro"`,
  );
}

function imageMount(
  mount: Mount,
  target: string,
  field: string,
  context: MountContext,
  images: ImageSpellings,
): DockerMount {
  const { env, imageVolumePaths } = context;
  if (mount.hostPath !== "") throw invalid(`${field}.host_path`, "excludes an image");
  if (mount.propagation !== MountPropagation.PROPAGATION_PRIVATE) {
    throw invalid(`${field}.propagation`, "must be private for an image");
  }
  const image = mount.image?.image ?? "";
  if (image === "") throw invalid(`${field}.image.image`, "is missing");
  checkImageHandler(mount.image, env, `${field}.image`);
  const subPath = insideImage(mount.imageSubPath, `${field}.image_sub_path`);
  if (speaksApi(env, 48)) {
    return {
      type: "image",
      source: images.next(withoutNul(image, `${field}.image.image`), `${field}.image.image`),
      target,
      readonly: true,
      ...(subPath === "" ? {} : { imageSubpath: subPath }),
    };
  }
  const folder = imageVolumePaths.get(mount.containerPath);
  if (folder !== undefined) return { type: "bind", source: folder, target, readonly: true };
  throw unsupported(`${field}.image`, "needs Docker 28, which is the first that mounts images");
}

function insideImage(path: string, field: string): string {
  withoutNul(path, field);
  if (path.startsWith("/") || path.split("/").includes("..")) {
    throw invalid(field, `must be a relative path inside the image, but is ${quote(path)}`);
  }
  return path;
}
