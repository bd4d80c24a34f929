import type { MessageInitShape } from "@bufbuild/protobuf";
import { messageOf, nowNanos, ShimError } from "../base/index.js";
import type { DockerInfo } from "../docker/index.js";
import type { ImageFsInfoResponseSchema } from "../gen/runtime/v1/api_pb.js";
import type { FileSystemUsage, Host } from "../host/index.js";
import type { ImageRecord, Inventory } from "../inventory/index.js";
import { bytesOnDisk } from "./disk-use.js";
import { chainIdsOf, LayerSizes } from "./layer-sizes.js";

const containerdConfig = "/etc/containerd/config.toml";
const containerdRoot = "/var/lib/containerd";
/** So long a call waits for the sizes of layers that are new; what is late counts in the next answer. */
const learningMs = 500;

/** The file system that images and writable layers lie on. */
export interface Disk {
  readonly mountPoint: string;
  readonly usage: FileSystemUsage;
}

/** The file systems that images and containers lie on. */
export class ImageFilesystems {
  private readonly sizes: LayerSizes;
  /** Looked for once a connection. */
  private readonly containerdRoots = new WeakMap<DockerInfo, Promise<string>>();
  private readonly chains = new WeakMap<ImageRecord, readonly string[]>();

  constructor(
    private readonly host: Host,
    private readonly inventory: Inventory,
  ) {
    this.sizes = new LayerSizes(host);
  }

  /**
   * What the kernel says of the file system, and what the images take by the sizes of their layers. Nothing is
   * walked. Docker keeps images and containers in one place, so both lists show the same file system.
   * @throws ShimError "failed-precondition" when Docker's folder cannot be seen from here.
   */
  async info(): Promise<MessageInitShape<typeof ImageFsInfoResponseSchema>> {
    const { info } = this.inventory.engine();
    const { mountPoint: mountpoint, usage } = await this.disk();
    const imageBytes = BigInt(await this.imageBytes(info));
    // The store may compress: what is not used on disk, images cannot take.
    const images = imageBytes < usage.usedBytes ? imageBytes : usage.usedBytes;
    const filesystem = (usedBytes: bigint) => ({
      timestamp: nowNanos(),
      fsId: { mountpoint },
      usedBytes: { value: usedBytes },
      // Some file systems do not count inodes.
      ...(usage.totalInodes > 0n ? { inodesUsed: { value: usage.usedInodes } } : {}),
    });
    return {
      imageFilesystems: [filesystem(images)],
      containerFilesystems: [filesystem(usage.usedBytes - images)],
    };
  }

  /**
   * The file system that images and writable layers lie on.
   * @throws ShimError "failed-precondition" when Docker's folder cannot be seen from here.
   */
  async disk(): Promise<Disk> {
    const { info } = this.inventory.engine();
    const root = await this.rootOf(info);
    try {
      const mountPoint = await this.host.files.mountPointOf(root);
      return { mountPoint, usage: await this.host.files.usage(root) };
    } catch (error) {
      throw new ShimError(
        "failed-precondition",
        `the folder ${root}, where Docker keeps its images, cannot be seen by docker-cri (${messageOf(error)}); ` +
          "let docker-cri run where Docker's files are",
        { cause: error },
      );
    }
  }

  private async imageBytes(info: DockerInfo): Promise<number> {
    const images = [...this.inventory.images.records()].map((record) => ({
      ...(record.sizeBytes === undefined ? {} : { sizeBytes: record.sizeBytes }),
      chain: this.chainOf(record),
    }));
    const { rootDirectory, storageDriver } = info;
    if (!info.containerdImageStore && rootDirectory !== undefined && storageDriver !== undefined) {
      const folder = `${rootDirectory}/image/${storageDriver}/layerdb`;
      const learned = this.sizes.learn(folder, new Set(images.flatMap(({ chain }) => chain)));
      await atMost(learningMs, learned);
    }
    return Math.trunc(bytesOnDisk(images, (chainId) => this.sizes.get(chainId)));
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
    const known = this.containerdRoots.get(info) ?? this.containerdRoot(info);
    this.containerdRoots.set(info, known);
    return await known;
  }

  /** Docker does not tell where its containerd keeps images: it has one of its own, or uses the system's. */
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

async function atMost(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const enough = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, enough]);
  clearTimeout(timer);
}
