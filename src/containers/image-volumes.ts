import { posix } from "node:path";
import { KeyedLock, messageOf, ShimError, SingleFlight, withDeadline, type Logger } from "../base/index.js";
import type { ShimConfig } from "../config/index.js";
import type { DockerService } from "../docker/index.js";
import type { ImageSpec, Mount } from "../gen/runtime/v1/api_pb.js";
import type { Host } from "../host/index.js";
import type { Inventory } from "../inventory/index.js";
import {
  checkedImage,
  imageVolumesOf,
  mountsImages,
  type ExportedImage,
  type ExportedImages,
} from "../translate/index.js";
import { ImageExport } from "./image-export.js";
import { insideImage } from "./inside-image.js";

/** A create that failed is tried again, and a large image takes longer to unpack than a caller waits. */
const keptForRetryMs = 600_000;
const idPrefix = "sha256:";

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
 * by their labels alone, so that nothing is lost or left when the shim ends in between.
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
      // A temporary name has the image's between dots.
      const digits = name.split(".").find((part) => part !== "") ?? "";
      if (name === digits) await this.release(idPrefix + digits);
      else if (!this.holds.has(idPrefix + digits)) await trees.remove(posix.join(this.folder, name));
    }
  }

  /** Removes the folders that were a container's alone. @param labels Docker's, of a container that is gone. */
  async releaseOf(labels: Readonly<Record<string, string>>): Promise<void> {
    const images = [...imageVolumesOf(labels).values()].map(({ imageId }) => imageId);
    for (const imageId of new Set(images)) await this.release(imageId);
  }

  /** Forgets what is kept for a retry; the next start removes it. */
  close(): void {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
  }

  private isNeeded(): boolean {
    const { engine } = this.context.config;
    const elsewhere = engine.kind === "docker" && !engine.endpoint.startsWith("unix:");
    return !elsewhere && !mountsImages(this.context.inventory.environment());
  }

  private async provide(mount: Mount, held: string[], signal: AbortSignal): Promise<ExportedImage> {
    const { containerPath, imageSubPath } = mount;
    const imageId = await this.idOf(mount.image, containerPath);
    held.push(imageId);
    this.holds.set(imageId, (this.holds.get(imageId) ?? 0) + 1);
    const root = this.folderOf(imageId);
    await withDeadline("CreateContainer", { signal }, () =>
      this.unpacking.run(imageId, () => this.locks.run(imageId, () => this.unpack(imageId))),
    );
    const path = await insideImage(this.context.host.files, root, imageSubPath);
    if (path !== undefined) return { imageId, path };
    throw new ShimError(
      "not-found",
      `the image ${mount.image?.image ?? ""} for ${containerPath} has nothing at the sub-path ${JSON.stringify(imageSubPath)}`,
    );
  }

  private async idOf(image: ImageSpec | undefined, containerPath: string): Promise<string> {
    const { images } = this.context.inventory;
    const name = image?.image ?? "";
    // An image that has come this moment may be known to Docker alone.
    const found = images.find(name) ?? (await images.refresh(name));
    if (found) return found.id;
    throw new ShimError(
      "not-found",
      `the image ${name} for ${containerPath} is not on the node: pull it first`,
    );
  }

  private async unpack(imageId: string): Promise<void> {
    const root = this.folderOf(imageId);
    if ((await this.context.host.files.kindOf(root)) !== undefined) return;
    this.context.log.info({ image: imageId, folder: root }, "unpacking an image, to be mounted as a volume");
    await this.exporter.unpack(imageId, root);
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
          await host.trees.remove(this.folderOf(imageId));
      });
    } catch (error) {
      log.warn({ image: imageId, err: messageOf(error) }, "an unpacked image stays until the next start");
    }
  }

  private isSeen(imageId: string): boolean {
    return this.context.inventory
      .workloads()
      .some(({ docker }) =>
        [...imageVolumesOf(docker.config.labels ?? {}).values()].some((volume) => volume.imageId === imageId),
      );
  }

  private folderOf(imageId: string): string {
    return posix.join(this.folder, imageId.slice(imageId.indexOf(":") + 1));
  }
}
