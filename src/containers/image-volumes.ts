import { posix } from "node:path";
import { KeyedLock, messageOf, ShimError, SingleFlight, withDeadline, type Logger } from "../base/index.js";
import { isEngineLocal, type ShimConfig } from "../config/index.js";
import type { DockerContainer, DockerService } from "../docker/index.js";
import type { ImageSpec, Mount } from "../gen/runtime/v1/api_pb.js";
import type { Host } from "../host/index.js";
import type { ImageRecord, Inventory } from "../inventory/index.js";
import { checkedImage, mountsImages, type ExportedImage, type ExportedImages } from "../translate/index.js";
import { ImageExport } from "./image-export.js";
import { insideImage } from "./inside-image.js";

/** A create that failed is tried again, and a large image takes longer to unpack than a caller waits. */
const keptForRetryMs = 600_000;
const idPrefix = "sha256:";
const idPattern = /^sha256:([0-9a-f]{64})$/;
const folderLength = 64;
const folderPattern = /^[0-9a-f]{64}$/;
const temporaryPattern = /^\.([0-9a-f]{64})\.[0-9a-f]+\.tmp$/;

export interface ImageVolumesContext {
  readonly docker: DockerService;
  readonly host: Host;
  readonly inventory: Inventory;
  readonly config: ShimConfig;
  readonly log: Logger;
}

/**
 * Images as volumes, on engines that cannot mount them: each is unpacked once into a folder below the root
 * directory, which all containers share that see it, and which goes with the last of them. Who they are is told
 * by their mounts alone, which no image can bring, so that nothing is lost or left when the shim ends in between.
 */
export class ImageVolumes {
  private readonly folder: string;
  private readonly exporter: ImageExport;
  private readonly unpacking = new SingleFlight<void>();
  private readonly locks = new KeyedLock();
  /** Creates under way, and those that may be tried again, by image. */
  private readonly holds = new Map<string, number>();
  private readonly timers = new Set<NodeJS.Timeout>();

  constructor(private readonly context: ImageVolumesContext) {
    this.folder = posix.join(context.config.rootDirectory, "image-volumes");
    this.exporter = new ImageExport(context.docker, context.host, context.log);
  }

  /**
   * Does `work` while the images among the mounts are on the node. Where Docker mounts images itself, or is not on
   * this node, it gets none.
   * @throws ShimError "not-found" for an image or a sub-path that is not there; "resource-exhausted" on a full disk.
   */
  async during<T>(
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
      for (const imageId of held) this.letGo(imageId);
      return result;
    } catch (error) {
      for (const imageId of held) this.letGoLater(imageId);
      throw error;
    }
  }

  /** Removes the folders that no container sees any more, and what a crash has left. */
  async sweep(): Promise<void> {
    await this.exporter.sweep();
    const { files, trees } = this.context.host;
    for (const name of await files.list(this.folder)) {
      if (folderPattern.test(name)) await this.release(idPrefix + name);
      const [, digits] = temporaryPattern.exec(name) ?? [];
      if (digits !== undefined && !this.holds.has(idPrefix + digits)) await trees.remove(this.folder, name);
    }
  }

  /** Removes the folders that only this container, which is gone, has seen. */
  async releaseOf(container: DockerContainer): Promise<void> {
    for (const imageId of this.imagesSeenBy(container)) await this.release(imageId);
  }

  /** Forgets what is kept for a retry; the next start removes it. */
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
    await withDeadline("CreateContainer", { signal }, () =>
      this.unpacking.run(imageId, () => this.locks.run(imageId, () => this.unpack(image, root))),
    );
    const path = await insideImage(this.context.host.files, root, imageSubPath);
    if (path !== undefined) return { imageId, path };
    throw new ShimError(
      "not-found",
      `the image ${mount.image?.image ?? ""} for ${containerPath} has nothing at the sub-path ${JSON.stringify(imageSubPath)}`,
    );
  }

  private async find(image: ImageSpec | undefined, containerPath: string): Promise<ImageRecord> {
    const { images } = this.context.inventory;
    const name = image?.image ?? "";
    // An image that has come this moment may be known to Docker alone.
    const found = images.find(name) ?? (await images.refresh(name));
    if (found) return found;
    throw new ShimError(
      "not-found",
      `the image ${name} for ${containerPath} is not on the node: pull it first`,
    );
  }

  private async unpack({ id, config }: ImageRecord, root: string): Promise<void> {
    if ((await this.context.host.files.kindOf(root)) !== undefined) return;
    this.context.log.info({ image: id, folder: root }, "unpacking an image, to be mounted as a volume");
    await this.exporter.unpack({ id, labels: config.labels ?? {} }, root);
  }

  private letGoLater(imageId: string): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      this.letGo(imageId);
    }, keptForRetryMs);
    this.timers.add(timer.unref());
  }

  private letGo(imageId: string): void {
    const left = (this.holds.get(imageId) ?? 1) - 1;
    if (left > 0) this.holds.set(imageId, left);
    else this.holds.delete(imageId);
    void this.release(imageId);
  }

  /** Removes an image's folder unless somebody needs it. Never throws: the next start tries again. */
  private async release(imageId: string): Promise<void> {
    const { host, log } = this.context;
    try {
      await this.locks.run(imageId, async () => {
        if (!this.holds.has(imageId) && !this.isSeen(imageId))
          await host.trees.remove(this.folder, folderOf(imageId));
      });
    } catch (error) {
      log.warn({ image: imageId, err: messageOf(error) }, "an unpacked image stays until the next start");
    }
  }

  private isSeen(imageId: string): boolean {
    return this.context.inventory.workloads().some(({ docker }) => this.imagesSeenBy(docker).has(imageId));
  }

  /** The images whose folders are mounted, or a part of them. */
  private imagesSeenBy({ host, mounts }: DockerContainer): ReadonlySet<string> {
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

/** @throws ShimError "internal" for an id that cannot be a folder's name. */
function folderOf(imageId: string): string {
  const [, digits] = idPattern.exec(imageId) ?? [];
  if (digits !== undefined) return digits;
  throw new ShimError("internal", `Docker has an image with the id ${JSON.stringify(imageId.slice(0, 120))}`);
}
