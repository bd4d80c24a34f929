import { posix } from "node:path";
import type { DockerMount } from "../docker/index.js";
import { MountPropagation, type Mount } from "../gen/runtime/v1/api_pb.js";
import { absolutePath, invalid, quote, unsupported } from "./validation.js";
import { recursiveReadOnlySupported, speaksApi, type EngineEnvironment } from "./environment.js";
import { imageMount, ImageSpellings } from "./image-mounts.js";
import type { ExportedImages } from "./exported-images.js";

export interface MountContext {
  readonly env: EngineEnvironment;
  /** The OCI runtime of the pod. Empty: the default runtime. */
  readonly runtime: string;
  /** The unpacked images, for engines without image mounts. */
  readonly exportedImages: ExportedImages;
}

/** Docker's two forms of bind mounts. `binds` are strings with options that `mounts` do not have. */
export interface DockerMounts {
  readonly mounts: DockerMount[];
  readonly binds: string[];
}

/** A container has tens of mounts. Many more, or a thousand long paths, would block the event loop. */
const maxMounts = 4096;
const maxPathCharacters = 256 * 1024;

type Propagation = "rslave" | "rshared";

/** @throws ShimError "invalid-argument"; "unsupported" for what the engine cannot mount. */
export function dockerMounts(requested: readonly Mount[], context: MountContext): DockerMounts {
  checkSize(requested);
  const mounts: DockerMount[] = [];
  const binds: string[] = [];
  const images = new ImageSpellings();
  const taken = new Map<string, string>();
  for (const [index, mount] of requested.entries()) {
    const field = `config.mounts[${index}]`;
    const target = targetOf(mount, field);
    const place = withoutSlash(posix.normalize(target));
    const other = taken.get(place);
    if (other !== undefined)
      throw invalid(`${field}.container_path`, `is ${quote(target)}, where ${other} is already mounted`);
    taken.set(place, field);
    if (mount.image) {
      const exported = context.exportedImages.get(mount.containerPath)?.path;
      const made = imageMount(mount, { target, field, exported }, context.env, images);
      if (typeof made === "string") binds.push(made);
      else mounts.push(made);
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

function checkSize(requested: readonly Mount[]): void {
  if (requested.length > maxMounts)
    throw invalid("config.mounts", `have ${requested.length} entries, but the limit is ${maxMounts}`);
  let characters = 0;
  for (const { containerPath, hostPath } of requested) characters += containerPath.length + hostPath.length;
  if (characters > maxPathCharacters)
    throw invalid(
      "config.mounts",
      `have paths of ${characters} characters in total, but the limit is ${maxPathCharacters}`,
    );
}

function targetOf({ containerPath }: Mount, field: string): string {
  const path = absolutePath(containerPath, `${field}.container_path`);
  if (posix.normalize(path) === "/") throw invalid(`${field}.container_path`, "must not be /");
  return path;
}

function withoutSlash(path: string): string {
  return path.endsWith("/") ? path.slice(0, -1) : path;
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
    // From API 1.44 Docker makes read-only mounts recursive by default. In CRI that is a separate option.
    ...(mount.recursiveReadOnly
      ? { readonlyForceRecursive: true, propagation: "rprivate" as const }
      : mount.readonly && speaksApi(env, 44)
        ? { readonlyNonRecursive: true }
        : {}),
    ...(env.missingHostPath === "create" && speaksApi(env, 42) ? { createMountpoint: true } : {}),
  };
}

/**
 * The bind in its string form, if only that supports it: SELinux relabeling, and creating the host path before API 1.42.
 * A path in it cannot contain a colon.
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
    throw unsupported(`${field}.selinux_relabel`, "is not supported by Docker for a path with a colon");
  }
  const options = [mount.readonly ? "ro" : "rw", relabel ? "Z" : undefined, propagationOf(mount, field)];
  return `${source}:${target}:${options.filter((option) => option !== undefined).join(",")}`;
}

/** Undefined for private: Docker then uses `rslave` for directories that contain its own mounts. */
function propagationOf({ propagation }: Mount, field: string): Propagation | undefined {
  switch (propagation) {
    case MountPropagation.PROPAGATION_PRIVATE:
      return undefined;
    case MountPropagation.PROPAGATION_HOST_TO_CONTAINER:
      return "rslave";
    case MountPropagation.PROPAGATION_BIDIRECTIONAL:
      return "rshared";
    default:
      throw invalid(`${field}.propagation`, `has a value that CRI v1 does not define`);
  }
}

function checkRecursiveReadOnly(mount: Mount, field: string, { env, runtime }: MountContext): void {
  if (!mount.recursiveReadOnly) return;
  const name = `${field}.recursive_read_only`;
  if (!mount.readonly) throw invalid(name, "needs readonly");
  if (mount.propagation !== MountPropagation.PROPAGATION_PRIVATE) {
    throw invalid(name, "needs private propagation");
  }
  if (recursiveReadOnlySupported(env, runtime)) return;
  // The kubelet matches on the first word.
  throw unsupported(
    "RROUnsupported:",
    `${name} of ${quote(mount.hostPath)} needs Docker 25, Linux 5.12 and a runtime that reports "rro"`,
  );
}
