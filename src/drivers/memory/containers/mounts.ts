import { posix } from "node:path";
import { ShimError } from "../../../base/index.js";
import type { DockerHostConfig, DockerMount, DockerMountPoint } from "../../../docker/index.js";
import type { MemoryEngine } from "../engine.js";
import { randomId } from "../ids.js";
import type { StoredImage } from "../images/image.js";
import type { Container } from "./container.js";

const operation = "containers.create";

/** `source:target[:options]`, parsed. */
interface Bind {
  readonly source: string;
  readonly target: string;
  readonly options: readonly string[];
}

/**
 * Checks mounts as Docker does: the source of a bind mount must exist.
 * @throws ShimError "invalid-argument"; "unsupported" for options that the engine's API does not have.
 */
export function checkMounts(engine: MemoryEngine, host: DockerHostConfig): void {
  const targets = new Set<string>();
  for (const mount of host.mounts ?? []) {
    checkMount(engine, mount);
    const target = posix.resolve(mount.target);
    if (targets.has(target)) refuse(`two mounts have the target ${target}`);
    targets.add(target);
  }
  for (const bind of host.binds ?? []) parseBind(bind);
}

function checkMount(engine: MemoryEngine, mount: DockerMount): void {
  if (!mount.target.startsWith("/") || posix.resolve(mount.target) === "/") {
    refuse(`${JSON.stringify(mount.target)} is no target of a mount`);
  }
  if (mount.type === "image") {
    requireApi(engine, 48, "image mounts");
    engine.images.find(mount.source, operation);
    return;
  }
  if (mount.type !== "bind") return;
  if (!mount.source.startsWith("/")) refuse(`${JSON.stringify(mount.source)} is not an absolute path`);
  if (mount.readonlyForceRecursive) requireApi(engine, 44, "recursive read-only mounts");
  if (mount.createMountpoint) requireApi(engine, 42, "making the source of a bind mount");
  if (mount.readonlyForceRecursive && mount.propagation !== "rprivate") {
    refuse("a mount that must be read-only all the way down has the propagation rprivate");
  }
  if (!mount.createMountpoint && !engine.host.tree.exists(mount.source)) {
    refuse(`the source of a bind mount is not there: ${mount.source}`);
  }
}

/**
 * Rejects options that an older engine would ignore.
 * @throws ShimError "unsupported"
 */
export function requireApi({ settings }: MemoryEngine, minor: number, what: string): void {
  if (settings.apiVersion[1] >= minor) return;
  const version = settings.apiVersion.join(".");
  throw new ShimError(
    "unsupported",
    `${operation}: ${what} need Docker API 1.${minor}, this engine has ${version}`,
    {
      operation,
    },
  );
}

function refuse(why: string): never {
  throw new ShimError("invalid-argument", `${operation}: ${why}`, { operation });
}

function parseBind(text: string): Bind {
  const [source = "", target = "", options = "", ...more] = text.split(":");
  if (!target.startsWith("/") || source === "" || more.length > 0) {
    refuse(`${JSON.stringify(text)} is no bind mount`);
  }
  return { source, target, options: options === "" ? [] : options.split(",") };
}

/** Creates the folders of the mounts on the node. @returns The mounts as in an inspect result. */
export function makeMounts(
  engine: MemoryEngine,
  host: DockerHostConfig,
  image: StoredImage,
): DockerMountPoint[] {
  const { tree } = engine.host;
  const points = [...(host.mounts ?? []).map((mount) => fromMount(engine, mount))];
  for (const { source, target, options } of (host.binds ?? []).map(parseBind)) {
    if (!tree.exists(source)) tree.makeDirectory(source);
    const propagation = options.find((option) => /^r?(?:private|slave|shared)$/.test(option)) ?? "rprivate";
    points.push({ type: "bind", source, target, writable: !options.includes("ro"), propagation });
  }
  for (const target of image.config.volumes ?? []) {
    if (points.some((point) => point.target === target)) continue;
    const source = `${volumesFolder}/${randomId()}/_data`;
    tree.makeDirectory(source);
    points.push({ type: "volume", source, target, writable: true });
  }
  return points;
}

/**
 * Looks for the sub-paths of images, as Docker does at the start.
 * @throws ShimError "not-found".
 */
export function requireMounts(engine: MemoryEngine, { mounts }: Container, operation: string): void {
  const lost = mounts.find(({ type, source }) => type === "image" && !engine.host.tree.exists(source ?? "/"));
  if (!lost) return;
  throw new ShimError(
    "not-found",
    `${operation}: cannot access path ${lost.source ?? ""}: no such file or directory`,
    { operation },
  );
}

/** Docker's folder of volumes. */
export const volumesFolder = "/var/lib/docker/volumes";

function fromMount(engine: MemoryEngine, mount: DockerMount): DockerMountPoint {
  const { tree } = engine.host;
  const { type, target } = mount;
  if (type === "tmpfs") return { type, target, writable: !mount.readonly };
  if (type === "volume") {
    const source = `${volumesFolder}/${mount.source || randomId()}/_data`;
    tree.makeDirectory(source);
    return { type, source, target, writable: !mount.readonly };
  }
  if (type === "image") {
    const { image } = engine.images.find(mount.source, operation);
    const source = `/var/lib/docker/images/${image.id.slice("sha256:".length)}`;
    tree.makeDirectory(source);
    for (const [path, text] of Object.entries(image.spec.files ?? {})) {
      tree.makeDirectory(posix.dirname(posix.join(source, path)));
      tree.replace(posix.join(source, path), text, 0o644);
    }
    return { type, source: posix.join(source, mount.imageSubpath ?? ""), target, writable: false };
  }
  if (!tree.exists(mount.source)) tree.makeDirectory(mount.source);
  const propagation = mount.propagation ?? "rprivate";
  return { type, source: mount.source, target, writable: !mount.readonly, propagation };
}
