import { posix } from "node:path";
import { isKind, KeyedLock, messageOf, ShimError, SingleFlight } from "../base/index.js";
import { isEngineLocal } from "../config/index.js";
import type { DockerContainer, DockerContainerSpec, DockerMount, DockerService } from "../docker/index.js";
import type { ImageSpec, Mount } from "../gen/runtime/v1/api_pb.js";
import type { ImageRecord } from "../inventory/index.js";
import { checkedImage, mountsImages, type ExportedImage, type ExportedImages } from "../translate/index.js";
import type { ImageExport } from "./image-export.js";
import { resolveInImage } from "./resolve-in-image.js";
import type { ContainersContext } from "./context.js";

/** How long an image is kept for a retry: unpacking a large image may take longer than the caller's timeout. */
const retentionMs = 600_000;
const idPrefix = "sha256:";
const idPattern = /^sha256:([0-9a-f]{64})$/;
const folderLength = 64;
const folderPattern = /^[0-9a-f]{64}$/;
const temporaryPattern = /^\.([0-9a-f]{64})\.[0-9a-f]+\.tmp$/;

/**
 * Image volumes for engines without image mounts. Each image is unpacked once into a directory below the root directory,
 * shared by its containers and removed with the last of them. The users of a directory are derived from the mounts of
 * containers, so there is no state to lose in a crash, and an image cannot forge it.
 */
export class ImageVolumes {
  private readonly folder: string;
  private readonly unpacking = new SingleFlight<void>("CreateContainer");
  private readonly locks = new KeyedLock();
  /** The number of running creates and creates awaiting a retry, by image. */
  private readonly holds = new Map<string, number>();
  private readonly timers = new Set<NodeJS.Timeout>();

  constructor(
    private readonly context: ContainersContext,
    private readonly exporter: ImageExport,
  ) {
    this.folder = posix.join(context.config.rootDirectory, "image-volumes");
  }

  /**
   * Runs `work` with the images of the mounts unpacked on the node. With image mounts in Docker, or a remote Docker, no
   * image is unpacked.
   * @throws ShimError "not-found" for a missing image or sub-path; "resource-exhausted" on a full disk.
   */
  async withUnpacked<T>(
    mounts: readonly Mount[],
    signal: AbortSignal,
    work: (exported: ExportedImages) => Promise<T>,
  ): Promise<T> {
    const held: string[] = [];
    try {
      const exported = new Map<string, ExportedImage>();
      for (const [index, mount] of this.isNeeded() ? mounts.entries() : []) {
        if (!mount.image) continue;
        checkedImage(mount, `config.mounts[${index}]`, this.context.inventory.environment());
        exported.set(mount.containerPath, await this.provide(mount, held, signal));
      }
      const result = await work(exported);
      for (const imageId of held) this.releaseHold(imageId);
      return result;
    } catch (error) {
      for (const imageId of held) this.releaseHoldLater(imageId);
      throw error;
    }
  }

  /** Removes directories without containers, and the remains of a crash. */
  async sweep(): Promise<void> {
    await this.exporter.sweep();
    const { files, trees } = this.context.host;
    for (const name of await files.list(this.folder)) {
      if (folderPattern.test(name)) await this.release(idPrefix + name);
      const [, digits] = temporaryPattern.exec(name) ?? [];
      if (digits !== undefined && !this.holds.has(idPrefix + digits)) await trees.remove(this.folder, name);
    }
  }

  /** Removes the directories that only this removed container used. */
  async releaseOf(container: DockerContainer): Promise<void> {
    for (const imageId of this.imagesUsedBy(container)) await this.release(imageId);
  }

  /** Clears the timers. The next start removes what is kept for a retry. */
  close(): void {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
  }

  private isNeeded(): boolean {
    return isEngineLocal(this.context.config) && !mountsImages(this.context.inventory.environment());
  }

  private async provide(mount: Mount, held: string[], signal: AbortSignal): Promise<ExportedImage> {
    const { containerPath, imageSubPath } = mount;
    const image = await this.find(mount.image, containerPath);
    const imageId = image.id;
    const root = posix.join(this.folder, folderOf(imageId));
    held.push(imageId);
    this.holds.set(imageId, (this.holds.get(imageId) ?? 0) + 1);
    const unpack = () => this.locks.run(imageId, () => this.unpack(image, root));
    await this.unpacking.run(imageId, unpack, signal);
    const path = await resolveInImage(this.context.host.files, root, imageSubPath);
    if (path !== undefined) return { imageId, path };
    throw new ShimError(
      "not-found",
      `the image ${mount.image?.image ?? ""} for ${containerPath} has no sub-path ${JSON.stringify(imageSubPath)}`,
    );
  }

  private async find(image: ImageSpec | undefined, containerPath: string): Promise<ImageRecord> {
    const { images } = this.context.inventory;
    const name = image?.image ?? "";
    // The event of a new image may not have arrived yet.
    const found = images.find(name) ?? (await images.refresh(name));
    if (found) return found;
    throw new ShimError(
      "not-found",
      `the image ${name} for ${containerPath} is not on the node: pull it first`,
    );
  }

  private async unpack({ id, config }: ImageRecord, root: string): Promise<void> {
    if ((await this.context.host.files.kindOf(root)) !== undefined) return;
    this.context.log.info({ image: id, folder: root }, "unpacking an image for an image volume");
    await this.exporter.unpack({ id, labels: config.labels ?? {} }, root);
  }

  private releaseHoldLater(imageId: string): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      this.releaseHold(imageId);
    }, retentionMs);
    this.timers.add(timer.unref());
  }

  private releaseHold(imageId: string): void {
    const left = (this.holds.get(imageId) ?? 1) - 1;
    if (left > 0) this.holds.set(imageId, left);
    else this.holds.delete(imageId);
    void this.release(imageId);
  }

  /** Removes an image's directory unless it is in use. Never throws: the next start retries. */
  private async release(imageId: string): Promise<void> {
    const { host, log } = this.context;
    try {
      await this.locks.run(imageId, async () => {
        if (!this.holds.has(imageId) && !this.isUsed(imageId))
          await host.trees.remove(this.folder, folderOf(imageId));
      });
    } catch (error) {
      log.warn(
        { image: imageId, err: messageOf(error) },
        "could not remove an unpacked image: retried at the next start",
      );
    }
  }

  private isUsed(imageId: string): boolean {
    return this.context.inventory.workloads().some(({ docker }) => this.imagesUsedBy(docker).has(imageId));
  }

  /** The images whose directory, or a path in it, is mounted. */
  private imagesUsedBy({ host, mounts }: DockerContainer): ReadonlySet<string> {
    const sources = [
      ...(host.mounts ?? []).map(({ source }) => source),
      ...(host.binds ?? []),
      ...mounts.map(({ source = "" }) => source),
    ];
    const below = `${this.folder}/`;
    const names = sources
      .filter((source) => source.startsWith(below))
      .map((source) => source.slice(below.length, below.length + folderLength));
    return new Set(names.filter((name) => folderPattern.test(name)).map((name) => idPrefix + name));
  }
}

/**
 * Has Docker find the sub-paths of its own image mounts, for which it otherwise looks only when the container starts.
 * @throws ShimError "not-found" for one that does not exist, or leads out of its image.
 */
export async function requireImageSubPaths(
  docker: DockerService,
  id: string,
  { host }: DockerContainerSpec,
): Promise<void> {
  const mounts = (host.mounts ?? []).filter(({ imageSubpath }) => imageSubpath !== undefined);
  if (mounts.length === 0) return;
  try {
    await docker.containers.resolveMounts(id);
  } catch (error) {
    if (!isKind(error, "not-found") && !isKind(error, "invalid-argument")) throw error;
    const one = (mount: DockerMount) =>
      `the image ${mount.source} for ${mount.target} has no sub-path ${JSON.stringify(mount.imageSubpath)}`;
    throw new ShimError("not-found", `${mounts.map(one).join(", or ")}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** @throws ShimError "internal" for a malformed ID. */
function folderOf(imageId: string): string {
  const [, digits] = idPattern.exec(imageId) ?? [];
  if (digits !== undefined) return digits;
  throw new ShimError(
    "internal",
    `Docker returned a malformed image ID: ${JSON.stringify(imageId.slice(0, 120))}`,
  );
}
