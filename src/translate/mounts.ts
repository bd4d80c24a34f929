import { posix } from "node:path";
import type { DockerMount } from "../docker/index.js";
import { MountPropagation, type Mount } from "../gen/runtime/v1/api_pb.js";
import { absolutePath, invalid, quote, unsupported } from "./checks.js";
import { recursiveReadOnlySupported, speaksApi, type EngineEnvironment } from "./environment.js";
import { imageMount } from "./image-mounts.js";
import { ImageSpellings } from "./image-spellings.js";
import type { ExportedImages } from "./image-volumes.js";

export interface MountContext {
  readonly env: EngineEnvironment;
  /** The OCI runtime of the pod; empty: the default. */
  readonly runtime: string;
  /** For image mounts on engines that have none of their own. */
  readonly exportedImages: ExportedImages;
}

/** Docker's two ways of bind mounting: `binds` are texts, and do what `mounts` cannot. */
export interface DockerMounts {
  readonly mounts: DockerMount[];
  readonly binds: string[];
}

/** Of all mounts of a container; a thousand long paths. Working on more would hold up all other calls. */
const maxPathCharacters = 256 * 1024;

type Propagation = "rslave" | "rshared";

/** @throws ShimError "invalid-argument"; "unsupported" for what the engine cannot mount. */
export function dockerMounts(requested: readonly Mount[], context: MountContext): DockerMounts {
  checkPathCharacters(requested);
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
      throw invalid(`${field}.container_path`, `is ${quote(target)}, where ${other} is mounted already`);
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

function checkPathCharacters(requested: readonly Mount[]): void {
  let characters = 0;
  for (const { containerPath, hostPath } of requested) characters += containerPath.length + hostPath.length;
  if (characters > maxPathCharacters)
    throw invalid(
      "config.mounts",
      `have paths of ${characters} characters, and ${maxPathCharacters} are taken`,
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
