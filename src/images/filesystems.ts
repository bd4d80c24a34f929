import type { MessageInitShape } from "@bufbuild/protobuf";
import { messageOf, nowNanos, settlesWithin, ShimError } from "../base/index.js";
import type { DockerInfo } from "../docker/index.js";
import type { ImageFsInfoResponseSchema } from "../gen/runtime/v1/api_pb.js";
import type { FileSystemUsage, Host } from "../host/index.js";
import type { ImageRecord, Inventory } from "../inventory/index.js";
import { chainIdsOf, LayerSizes } from "./layer-sizes.js";

const containerdConfig = "/etc/containerd/config.toml";
const containerdRoot = "/var/lib/containerd";
/** How long a call waits for the sizes of new layers. Later ones are counted in the next call. */
const layerSizesWaitMs = 500;

/** The file system of images and writable layers. */
export interface Disk {
  readonly mountPoint: string;
  readonly usage: FileSystemUsage;
}

interface Place {
  readonly root: string;
  readonly mountPoint: string;
}

/** What the images of one moment take. */
interface Counted {
  readonly info: DockerInfo;
  readonly records: readonly ImageRecord[];
  readonly bytes: number;
}

/** The usage of the file systems of images and containers. */
export class ImageFilesystems {
  private readonly sizes: LayerSizes;
  /** Found once per connection: an engine keeps its directories while it runs. */
  private readonly places = new WeakMap<DockerInfo, Place>();
  private readonly chains = new WeakMap<ImageRecord, readonly string[]>();
  private counted: Counted | undefined;

  constructor(
    private readonly host: Host,
    private readonly inventory: Inventory,
  ) {
    this.sizes = new LayerSizes(host);
  }

  /**
   * The usage from statfs, and the usage of images from the sizes of their layers; no directory is walked. Docker keeps
   * images and containers in one directory, so both lists have the same file system.
   * @throws ShimError "failed-precondition" when Docker's directory is not accessible.
   */
  async info(): Promise<MessageInitShape<typeof ImageFsInfoResponseSchema>> {
    const { info } = this.inventory.engine();
    const { mountPoint: mountpoint, usage } = await this.disk();
    const imageBytes = BigInt(await this.imageBytes(info));
    // With compression images may use less than the sum of their layers.
    const images = imageBytes < usage.usedBytes ? imageBytes : usage.usedBytes;
    const filesystem = (usedBytes: bigint) => ({
      timestamp: nowNanos(),
      fsId: { mountpoint },
      usedBytes: { value: usedBytes },
      // Some file systems have no inode count.
      ...(usage.totalInodes > 0n ? { inodesUsed: { value: usage.usedInodes } } : {}),
    });
    return {
      imageFilesystems: [filesystem(images)],
      containerFilesystems: [filesystem(usage.usedBytes - images)],
    };
  }

  /**
   * The file system of images and writable layers.
   * @throws ShimError "failed-precondition" when Docker's directory is not accessible.
   */
  async disk(): Promise<Disk> {
    const { info } = this.inventory.engine();
    const known = this.places.get(info);
    const root = known?.root ?? (await this.rootOf(info));
    try {
      const mountPoint = known?.mountPoint ?? (await this.host.files.mountPointOf(root));
      const usage = await this.host.files.usage(root);
      if (!known) this.places.set(info, { root, mountPoint });
      return { mountPoint, usage };
    } catch (error) {
      throw new ShimError(
        "failed-precondition",
        `docker-cri has no access to ${root}, where Docker keeps its images (${messageOf(error)}); ` +
          "run docker-cri where Docker's files are",
        { cause: error },
      );
    }
  }

  /** Counted again only when an image is new or gone. */
  private async imageBytes(info: DockerInfo): Promise<number> {
    const records = [...this.inventory.images.records()];
    const { counted } = this;
    if (counted?.info === info && isSame(counted.records, records)) return counted.bytes;
    const images = records.map((record) => ({
      ...(record.sizeBytes === undefined ? {} : { sizeBytes: record.sizeBytes }),
      chain: this.chainOf(record),
    }));
    const { rootDirectory, storageDriver } = info;
    let isComplete = true;
    if (!info.containerdImageStore && rootDirectory !== undefined && storageDriver !== undefined) {
      const folder = `${rootDirectory}/image/${storageDriver}/layerdb`;
      const chainIds = new Set(images.flatMap(({ chain }) => chain));
      await settlesWithin(layerSizesWaitMs, this.sizes.learn(folder, chainIds));
      isComplete = [...chainIds].every((chainId) => this.sizes.has(chainId));
    }
    const bytes = Math.trunc(bytesOnDisk(images, (chainId) => this.sizes.get(chainId)));
    this.counted = isComplete ? { info, records, bytes } : undefined;
    return bytes;
  }

  private chainOf(record: ImageRecord): readonly string[] {
    const known = this.chains.get(record);
    if (known) return known;
    const chain = chainIdsOf(record.layers);
    this.chains.set(record, chain);
    return chain;
  }

  private async rootOf(info: DockerInfo): Promise<string> {
    if (!info.containerdImageStore) return info.rootDirectory ?? "/";
    return this.containerdRoot(info);
  }

  /** Docker's API does not expose the root of containerd, which is Docker's own instance or the system's. */
  private async containerdRoot({ rootDirectory }: DockerInfo): Promise<string> {
    const { files } = this.host;
    const own = `${rootDirectory ?? ""}/containerd/daemon`;
    if ((await files.kindOf(own)) === "directory") return own;
    const config = await files.read(containerdConfig).then(
      (content) => content.toString("utf8"),
      () => "",
    );
    const [beforeTables = ""] = config.split(/^[ \t]*\[/m);
    return /^[ \t]*root[ \t]*=[ \t]*["'](\/[^"']*)["']/m.exec(beforeTables)?.[1] ?? containerdRoot;
  }
}

function isSame(before: readonly ImageRecord[], now: readonly ImageRecord[]): boolean {
  return before.length === now.length && before.every((record, index) => record === now[index]);
}

/** The fields of an image that its disk usage depends on. */
interface ImageOnDisk {
  readonly sizeBytes?: number;
  /** Chain ids, lowest first. */
  readonly chain: readonly string[];
}

/**
 * The disk usage of images in bytes. A layer that several images share counts once. If layer sizes are unknown, the
 * size of an image's base image is subtracted from its own size.
 */
export function bytesOnDisk(
  images: readonly ImageOnDisk[],
  sizeOf: (chainId: string) => number | undefined,
): number {
  const counted = new Set<string>();
  const whole = new Map<string, number>();
  let total = 0;
  for (const { sizeBytes = 0, chain } of [...images].sort((a, b) => a.chain.length - b.chain.length)) {
    const top = chain.at(-1);
    if (top === undefined) total += sizeBytes;
    if (top === undefined || counted.has(top)) continue;
    const fresh = chain.filter((chainId) => !counted.has(chainId));
    const sizes = fresh.map(sizeOf);
    const base = chain[chain.length - fresh.length - 1];
    const shared = base === undefined ? 0 : (whole.get(base) ?? 0);
    total += sizes.every((size) => size !== undefined)
      ? sizes.reduce((sum, size) => sum + size, 0)
      : Math.max(0, sizeBytes - shared);
    for (const chainId of fresh) counted.add(chainId);
    whole.set(top, sizeBytes);
  }
  return total;
}
